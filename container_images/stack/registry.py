"""What goes round the guards of a stack's repositories, because it is set for the registry."""

import json
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

from botocore.exceptions import BotoCoreError, ClientError

from container_images.aws.errors import explain
from container_images.aws.session import Aws
from container_images.policies.document import statements_in
from container_images.settings import Account
from container_images.stack.declared import DeclaredStack

if TYPE_CHECKING:
    from types_boto3_ecr import ECRClient


def registry_warnings(aws: Aws, stack: DeclaredStack) -> Iterator[str]:
    """What could change the tags of a stack's repositories without their policies having a say.

    `aws` is in the stack's Region. What the caller may not read is a warning too.
    """
    account, names, ecr = stack.account, [*stack.settings.repositories], aws.ecr()
    regions, unread = {account.region}, defaultdict[str, list[str]](list)
    try:  # another Region's rules may have this one as their destination
        enabled = aws.client("ec2").describe_regions()["Regions"]
        regions.update(region["RegionName"] for region in enabled)
    except (ClientError, BotoCoreError) as error:
        unread[explain(error)].append("replication of other Regions")
    checks = {
        "registry policy": _of_policy(ecr),
        "pull-through cache rules": _of_caches(ecr, names),
        "repository creation templates": _of_templates(ecr),
        **{
            f"replication of {region}": _of_replication(aws.ecr(region), account, names)
            for region in sorted(regions)
        },
    }
    with ThreadPoolExecutor() as threads:
        results = {what: threads.submit(list, warnings) for what, warnings in checks.items()}
    for what, result in results.items():
        try:
            yield from result.result()
        except (ClientError, BotoCoreError) as error:
            unread[explain(error)].append(what)
    for reason, parts in unread.items():
        yield f"not checked: {', '.join(parts)}: {reason}"


def _of_policy(ecr: "ECRClient") -> Iterator[str]:
    """A registry policy can only allow: what replicates into it, and what creates repositories.

    https://docs.aws.amazon.com/AmazonECR/latest/userguide/registry-permissions.html
    """
    try:
        policy = json.loads(ecr.get_registry_policy()["policyText"])
    except ecr.exceptions.RegistryPolicyNotFoundException:
        return
    for text in map(json.dumps, statements_in(policy, "Allow")):
        yield f"the registry policy allows this, whatever the repository policies say: {text}"


def _of_caches(ecr: "ECRClient", names: Iterable[str]) -> Iterator[str]:
    for rule in pull_through_rules(ecr):
        prefix, upstream = rule["ecrRepositoryPrefix"], rule.get("upstreamRegistryUrl")
        cached = ", ".join(name for name in names if is_cached(name, prefix))
        yield (
            f"pull-through cache rule {prefix} of {upstream}: pulls create repositories that no "
            "stack guards; those by a pipeline role may move tags of "
            f"{cached or 'no repository of this stack'}"
        )


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
        prefix, causes = template["prefix"], ", ".join(template.get("appliedFor", []))
        effect = f"ECR creates repositories ({causes}) that no stack guards"
        yield f"repository creation template {prefix}: {effect}"


def _of_replication(ecr: "ECRClient", account: Account, names: Iterable[str]) -> Iterator[str]:
    """What a Region's rules copy into these repositories, or from them to elsewhere."""
    region = ecr.meta.region_name
    configuration: Mapping[str, Any] = ecr.describe_registry()["replicationConfiguration"]
    for rule in configuration.get("rules", []):
        # A filter is a prefix of names; a rule without one is about all repositories:
        # https://docs.aws.amazon.com/AmazonECR/latest/APIReference/API_RepositoryFilter.html
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
