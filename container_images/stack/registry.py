"""What goes round the guards of a stack's repositories, because it is set for the registry."""

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any, Final

from botocore.exceptions import BotoCoreError, ClientError

from container_images.aws.errors import explain
from container_images.aws.session import Aws
from container_images.policies.document import names_action, statements_in
from container_images.settings import Account

if TYPE_CHECKING:
    from types_boto3_ecr import ECRClient

CONSOLE_PREFIXES: Final = (
    *("docker-hub", "ecr-public", "quay", "kubernetes"),
    *("github", "gitlab", "azure", "chainguard"),
)
"""The prefixes that AWS's console and documentation give to pull-through cache rules."""
_REGIONS_AT_ONCE: Final = 8


def registry_warnings(aws: Aws, account: Account, names: Sequence[str]) -> Iterator[str]:
    """What could change the tags of these repositories without their policies having a say.

    `aws` is in the stack's Region. What the caller may not read is a warning too.
    """
    ecr = aws.ecr()
    for warnings in (_of_policy(ecr), _of_caches(ecr, names), _of_templates(ecr)):
        try:
            yield from warnings
        except (ClientError, BotoCoreError) as error:
            yield f"not checked: {explain(error)}"
    yield from _of_replication(aws, account, names)


def _of_policy(ecr: "ECRClient") -> Iterator[str]:
    """A registry policy can only allow: what replicates into it, and what creates repositories.

    https://docs.aws.amazon.com/AmazonECR/latest/userguide/registry-permissions.html
    """
    try:
        policy = json.loads(ecr.get_registry_policy()["policyText"])
    except ecr.exceptions.RegistryPolicyNotFoundException:
        return
    for statement in statements_in(policy, "Allow"):
        replicates = names_action(statement.get("Action"), "ecr:ReplicateImage")
        effect = "replication into this registry" if replicates else "calls"
        yield (
            f"the registry policy allows {effect}, whatever the repository policies say: "
            f"{json.dumps(statement)}"
        )


def _of_caches(ecr: "ECRClient", names: Iterable[str]) -> Iterator[str]:
    for rule in pull_through_rules(ecr):
        prefix, upstream = rule["ecrRepositoryPrefix"], rule.get("upstreamRegistryUrl")
        cached = ", ".join(name for name in names if is_cached(name, prefix))
        effect = (
            f"a pull by a pipeline role may move tags of {cached}"
            if cached
            else "its pulls create repositories that no stack guards"
        )
        yield f"pull-through cache rule {prefix} of {upstream}: {effect}"


def pull_through_rules(ecr: "ECRClient") -> list[Any]:
    """Under which prefixes images of other registries are cached."""
    pages = ecr.get_paginator("describe_pull_through_cache_rules").paginate()
    return list(pages.build_full_result()["pullThroughCacheRules"])


def is_cached(name: str, prefix: str) -> bool:
    """Whether a pull-through cache rule with this prefix is about a repository.

    ROOT stands for no prefix at all:
    https://docs.aws.amazon.com/AmazonECR/latest/userguide/pull-through-cache-creating-rule.html
    """
    return prefix == "ROOT" or name.startswith(f"{prefix}/")


def _of_templates(ecr: "ECRClient") -> Iterator[str]:
    pages = ecr.get_paginator("describe_repository_creation_templates").paginate()
    for template in pages.build_full_result()["repositoryCreationTemplates"]:
        causes = ", ".join(template.get("appliedFor", []))
        yield (
            f"repository creation template {template['prefix']}: ECR creates repositories "
            f"({causes}) that no stack guards"
        )


def _of_replication(aws: Aws, account: Account, names: Sequence[str]) -> Iterator[str]:
    """Rules of every enabled Region: another Region's may have this one as their destination."""
    regions = [account.region]
    try:
        regions += sorted({*aws.enabled_regions()} - {*regions})
    except (ClientError, BotoCoreError) as error:
        yield f"replication of other Regions is not checked: {explain(error)}"
    clients = [aws.ecr(region) for region in regions]
    unread: dict[str, list[str]] = {}
    with ThreadPoolExecutor(_REGIONS_AT_ONCE) as threads:
        for region, rules in zip(regions, threads.map(_rules_or_error, clients), strict=True):
            if isinstance(rules, str):
                unread.setdefault(rules, []).append(region)
            else:
                yield from replication_warnings(region, rules, account, names)
    for reason, those in unread.items():
        yield f"replication is not checked in {', '.join(those)}: {reason}"


def _rules_or_error(ecr: "ECRClient") -> "Sequence[Mapping[str, Any]] | str":
    try:
        return ecr.describe_registry()["replicationConfiguration"].get("rules", [])
    except (ClientError, BotoCoreError) as error:
        return explain(error)


def replication_warnings(
    region: str, rules: Iterable[Mapping[str, Any]], account: Account, names: Iterable[str]
) -> Iterator[str]:
    """What the rules of a Region copy into these repositories, or from them to elsewhere.

    Without a filter a rule is about all repositories; a filter is a prefix of their names.
    https://docs.aws.amazon.com/AmazonECR/latest/APIReference/API_RepositoryFilter.html
    """
    for rule in rules:
        prefixes = tuple(each["filter"] for each in rule.get("repositoryFilters") or []) or ("",)
        copied = ", ".join(name for name in names if name.startswith(prefixes))
        for destination in rule["destinations"] if copied else ():
            there = destination["region"], destination["registryId"]
            if region == account.region:
                yield (
                    f"ECR replicates {copied} to {' of account '.join(there)}: this stack's guard "
                    "does not protect the copies"
                )
            elif there == (account.region, account.id):
                yield (
                    f"ECR in {region} replicates {copied} to {account.region}: who may push there "
                    "moves tags here, whatever the repository policies say"
                )
