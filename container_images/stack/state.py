"""A repository as declared and as it is in AWS, and what differs.

Policies are compared by what their statements and rules mean, not by how they are written.
"""

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from operator import itemgetter
from typing import TYPE_CHECKING, Any, Final

from container_images.access.claims import alike, prove
from container_images.aws.images import Repository
from container_images.aws.reference import Reference
from container_images.policies.document import arn, listed, statements_in, to_json
from container_images.policies.forms import exclusion_filters
from container_images.stack.declared import DeclaredStack

if TYPE_CHECKING:
    from types_boto3_ecr import ECRClient


@dataclass(frozen=True, kw_only=True)
class State:
    """A repository, declared or live."""

    arn: str
    name: str
    tag_mutability: str
    exclusion_filters: tuple[str, ...]
    scan_on_push: bool
    encryption: str
    """AES256, KMS or KMS_DSSE."""
    kms_key: str | None
    tags: Mapping[str, str]
    lifecycle_policy: str | None
    policy: str | None


def intended(stack: DeclaredStack, name: str) -> State:
    """The repository of this name, as the stack declares it."""
    account, settings = stack.account, stack.settings
    repository = settings.repositories[name]
    filters = exclusion_filters(
        repository.tag_mutability, settings.movable_tags, repository.immutable_tags
    )
    return State(
        arn=arn(settings.access(name, account), "ecr", f"repository/{name}"),
        name=name,
        tag_mutability=repository.tag_mutability,
        exclusion_filters=tuple(filters),
        scan_on_push=repository.scan_on_push,
        encryption="KMS" if repository.kms_key else "AES256",
        kms_key=repository.kms_key or None,
        tags={**stack.default_tags, **repository.tags},
        lifecycle_policy=to_json(settings.lifecycle_policy(name)),
        policy=to_json(settings.repository_policy(name, account)),
    )


def live(repository: Repository) -> State:
    """One repository in AWS, of the caller's account. Four calls; ECR's errors come as they are."""
    ecr = repository.client
    [description] = ecr.describe_repositories(repositoryNames=[repository.name])["repositories"]
    encryption = description.get("encryptionConfiguration") or {"encryptionType": "AES256"}
    tags = ecr.list_tags_for_resource(resourceArn=description["repositoryArn"])["tags"]
    filters = description.get("imageTagMutabilityExclusionFilters") or []
    return State(
        arn=description["repositoryArn"],
        name=description["repositoryName"],
        tag_mutability=description["imageTagMutability"],
        exclusion_filters=tuple(exclusion["filter"] for exclusion in filters),
        scan_on_push=(description.get("imageScanningConfiguration") or {}).get("scanOnPush", False),
        encryption=encryption["encryptionType"],
        kms_key=encryption.get("kmsKey"),
        tags={tag["Key"]: tag["Value"] for tag in tags},
        lifecycle_policy=repository.lifecycle_policy(),
        policy=repository.policy(),
    )


def repository_names(ecr: "ECRClient") -> list[str]:
    """Those of the caller's registry in the client's Region, in alphabetical order."""
    pages = ecr.get_paginator("describe_repositories").paginate()
    return sorted(each["repositoryName"] for page in pages for each in page["repositories"])


def every(ecr: "ECRClient") -> Iterator[State]:
    """All repositories of the caller's registry in the client's Region, by name."""
    for name in repository_names(ecr):
        yield live(Repository(ecr, Reference(name=name)))


AWS_TAGS: Final = "aws:"
"""Begins the keys of the resource tags that AWS's own services set: nobody else can."""

REPLACING: Final = frozenset({"encryption", "kmsKey"})
"""The settings that no update changes: another value means another repository, and Pulumi refuses
to replace it."""

Difference = dict[str, Any]
"""A `setting` that is not as declared: what was `found`, and what is `declared`, of a policy the
list of its parts. Of a policy also the parts that are `missing` in AWS, and those `undeclared`,
which an update takes away."""


def differences(live: State, declared: State) -> list[Difference]:
    """What is not as declared. Tags that AWS's services have set do not count."""
    in_aws, in_stack = _settings(live), _settings(declared)
    differing = []
    for setting in {**in_stack, **in_aws}:
        there, wanted = in_aws.get(setting), in_stack.get(setting)
        missing, undeclared = [], []
        if isinstance(there, dict) and isinstance(wanted, dict):
            missing = [part for meaning, part in wanted.items() if meaning not in there]
            undeclared = [part for meaning, part in there.items() if meaning not in wanted]
            if [*there] == [*wanted]:
                continue
            there, wanted = [*there.values()], [*wanted.values()]
        if there != wanted:
            parts = {"missing": missing, "undeclared": undeclared}
            differing.append({"setting": setting, "found": there, "declared": wanted, **parts})
    return differing


def _settings(state: State) -> dict[str, Any]:
    """What is compared, under the names that messages give it; a policy as its parts."""
    tags = {key: value for key, value in state.tags.items() if not key.startswith(AWS_TAGS)}
    return {
        "encryption": state.encryption,
        "kmsKey": state.kms_key,
        "tagMutability": state.tag_mutability,
        "scanOnPush": state.scan_on_push,
        "tagMutability's exclusion filters": sorted(state.exclusion_filters),
        **{f"resource tag {key}": value for key, value in tags.items()},
        "repository policy": _statements(state.policy),
        "lifecycle policy": _rules(state.lifecycle_policy),
    }


def describe(difference: Difference) -> str:
    """`tagMutability: IMMUTABLE -> MUTABLE`; of a policy, the names of what differs."""
    setting = difference["setting"]
    names = [
        f"{what}: {', '.join(part.partition(': {')[0] for part in difference[what])}"
        for what in ("missing", "undeclared")
        if difference[what]
    ]
    if not names and setting.endswith("policy"):
        names = ["the rules are in another order"]
    there, wanted = (
        ", ".join(each if isinstance(each, str) else json.dumps(each) for each in listed(value))
        for value in (difference["found"], difference["declared"])
    )
    final = "; no update changes it: correct kmsKey, or leave it out"
    values = f"{there or 'none'} -> {wanted or 'none'}{final if setting in REPLACING else ''}"
    return f"{setting}: {'; '.join(names) or values}"


def _rules(policy: str | None) -> dict[str, str]:
    """Each rule of a lifecycle policy in the order of their numbers, which alone does not count."""
    rules = sorted(json.loads(policy)["rules"] if policy else [], key=itemgetter("rulePriority"))
    return {
        json.dumps([rule["selection"], rule["action"]], sort_keys=True): (
            f"rule {rule['rulePriority']} ({rule.get('description') or 'no description'}): "
            f"{json.dumps(rule)}"
        )
        for rule in rules
    }


def _statements(policy: str | None) -> dict[str, str]:
    """Each statement as it is, after its name, under what it means; the order does not count.

    Nor does the version of the policy language: no declared statement has a variable.
    """
    parts = {}
    for number, statement in enumerate(statements_in(json.loads(policy or "{}")), start=1):
        text = json.dumps(statement)
        # ECR may hand back an account's root as its id.
        same = re.sub(r"arn:[a-z-]+:iam::(\d{12}):root", r"\1", text)
        same = same.replace('"Principal": "*"', '"Principal": {"AWS": "*"}')
        meaning = json.dumps(_sorted(json.loads(same)), sort_keys=True)
        parts[meaning] = f"statement {statement.get('Sid') or number}: {text}"
    return dict(sorted(parts.items()))


def _sorted(value: Any) -> Any:
    """The same for a list in any order, and for a list of one and its element."""
    if isinstance(value, dict):
        return {key: _sorted(part) for key, part in value.items()}
    return sorted({json.dumps(part) for part in listed(value)})


def verification(state: State, stack: DeclaredStack) -> dict[str, Any]:
    """What is true of one of the stack's repositories in AWS."""
    access = stack.settings.access(state.name, stack.account)
    proofs = prove(alike([(state.arn, state.policy, access)]))
    differing = differences(state, intended(stack, state.name))
    return {
        "repository": state.name,
        "ok": all(proof.proved for proof in proofs) and not differing,
        "proofs": [{**proof.to_json(), "failure": proof.failure} for proof in proofs],
        "differences": differing,
    }
