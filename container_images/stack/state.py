"""Pure: a repository as a stack declares it and as it is in AWS, and what differs.

Policies are compared by what they mean, not by how they are written.
"""

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from operator import itemgetter
from typing import TYPE_CHECKING, Any, Final

from container_images.policies.document import arn, to_json
from container_images.policies.tag_mutability import exclusion_filters
from container_images.settings.planned import (
    planned_lifecycle_policy,
    planned_repository_policy,
)
from container_images.stack.statements import statements_by_meaning

if TYPE_CHECKING:
    from container_images.stack.declared import DeclaredStack

AWS_TAGS: Final = "aws:"
"""Begins the keys of the resource tags that AWS's own services set: nobody else can."""


@dataclass(frozen=True, kw_only=True)
class State:
    """A repository, as far as a stack has a say in it."""

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


@dataclass(frozen=True, kw_only=True)
class Difference:
    """One setting of a repository that is not as declared."""

    setting: str
    live: Any
    declared: Any
    missing: Sequence[str] = ()
    """Of a policy: the statements or rules that AWS does not have."""
    undeclared: Sequence[str] = ()
    """Of a policy: those that the stack does not declare, so that an update takes them away."""

    def __str__(self) -> str:
        """`tagMutability: IMMUTABLE -> MUTABLE`; of a policy, the names of what differs."""
        if self.setting not in _POLICIES:
            return f"{self.setting}: {_as_text(self.live)} -> {_as_text(self.declared)}"
        parts = {"missing": self.missing, "not declared": self.undeclared}
        names = (
            f"{what}: {', '.join(part.partition(': {')[0] for part in those)}"
            for what, those in parts.items()
            if those
        )
        return f"{self.setting}: {'; '.join(names) or 'the rules are in another order'}"

    def to_json(self) -> dict[str, Any]:
        """For machines."""
        return {
            "setting": self.setting,
            "found": self.live,
            "declared": self.declared,
            "missing": list(self.missing),
            "undeclared": list(self.undeclared),
        }


REPLACING: Final = frozenset({"encryption", "kmsKey"})
"""The settings that no update changes: another value means another repository."""

REPOSITORY_POLICY: Final = "repository policy"
LIFECYCLE_POLICY: Final = "lifecycle policy"


def intended(stack: "DeclaredStack", name: str) -> State:
    """The repository of this name, as the stack declares it.

    Raises InvalidInputError where AWS would refuse its policy for its length.
    """
    account, settings = stack.account, stack.settings
    repository = settings.repositories[name]
    return State(
        arn=arn(settings.access(name, account), "ecr", f"repository/{name}"),
        name=name,
        tag_mutability=repository.tag_mutability,
        exclusion_filters=tuple(
            exclusion_filters(
                repository.tag_mutability, settings.movable_patterns, repository.immutable_tags
            )
        ),
        scan_on_push=repository.scan_on_push,
        encryption="KMS" if repository.kms_key else "AES256",
        kms_key=repository.kms_key or None,
        tags={**stack.default_tags, **repository.tags},
        lifecycle_policy=to_json(planned_lifecycle_policy(settings, name)),
        policy=to_json(planned_repository_policy(settings, name, account)),
    )


def differences(live: State, declared: State) -> list[Difference]:
    """What is not as declared. Tags that AWS's services have set do not count."""
    there, wanted = _plain(live), _plain(declared)
    plain = [
        Difference(setting=setting, live=there.get(setting), declared=wanted.get(setting))
        for setting in {**wanted, **there}
        if there.get(setting) != wanted.get(setting)
    ]
    return [
        *plain,
        *_policy_differences(REPOSITORY_POLICY, live.policy, declared.policy),
        *_policy_differences(LIFECYCLE_POLICY, live.lifecycle_policy, declared.lifecycle_policy),
    ]


def _plain(state: State) -> dict[str, Any]:
    """What is compared as it is, as a message names it."""
    return {
        "encryption": state.encryption,
        "kmsKey": state.kms_key,
        "tagMutability": state.tag_mutability,
        "scanOnPush": state.scan_on_push,
        "tagMutability's exclusion filters": sorted(state.exclusion_filters),
        **{_TAG + key: value for key, value in state.tags.items() if not key.startswith(AWS_TAGS)},
    }


_TAG: Final = "resource tag "


def _policy_differences(
    setting: str, live: str | None, declared: str | None
) -> Iterator[Difference]:
    """The statements or rules in which two policies differ, if they do."""
    parts_by_meaning = _POLICIES[setting]
    there, wanted = parts_by_meaning(live), parts_by_meaning(declared)
    if list(there) != list(wanted):
        yield Difference(
            setting=setting,
            live=_parsed(live),
            declared=_parsed(declared),
            missing=[part for meaning, part in wanted.items() if meaning not in there],
            undeclared=[part for meaning, part in there.items() if meaning not in wanted],
        )


def _rules_by_meaning(policy: str | None) -> dict[str, str]:
    """Each rule of a lifecycle policy in the order of their numbers, which alone does not count."""
    rules = sorted((_parsed(policy) or {"rules": []})["rules"], key=itemgetter("rulePriority"))
    return {
        json.dumps([rule["selection"], rule["action"]], sort_keys=True): (
            f"{_rule_name(rule)}: {json.dumps(rule)}"
        )
        for rule in rules
    }


def _rule_name(rule: Mapping[str, Any]) -> str:
    described = f" ({rule['description']})" if rule.get("description") else ""
    return f"rule {rule['rulePriority']}{described}"


_POLICIES: Final[Mapping[str, Callable[[str | None], dict[str, str]]]] = {
    REPOSITORY_POLICY: statements_by_meaning,
    LIFECYCLE_POLICY: _rules_by_meaning,
}


def _parsed(policy: str | None) -> Any:
    return None if policy is None else json.loads(policy)


def _as_text(value: Any) -> str:
    if value is None or value == []:
        return "none"
    if isinstance(value, list):
        return ", ".join(value)
    return json.dumps(value) if isinstance(value, bool) else str(value)
