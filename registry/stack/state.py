"""Pure: what a stack declares of a repository, what is found in AWS, and what differs.

What is compared is what the documents mean, not how they are written: ECR may hand a policy back
with a list of one entry as a text, or an account's root as its id.
"""

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any, Final

from policies import retention
from policies.document import to_json
from policies.fault import InvalidInputError
from policies.repository_policy import repository_policy
from policies.tag_mutability import exclusion_filters
from registry.lifecycle.document import Rule
from registry.lifecycle.files import read_policy
from settings import Account, StackSettings

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

    def to_json(self) -> dict[str, Any]:
        """For machines, in the words of the settings; the policies as objects."""
        told = asdict(self) | {
            "exclusion_filters": list(self.exclusion_filters),
            "lifecycle_policy": _parsed(self.lifecycle_policy),
            "repository_policy": _parsed(self.policy),
        }
        del told["policy"]
        return {re.sub("_(.)", lambda it: it[1].upper(), key): it for key, it in told.items()}


@dataclass(frozen=True, kw_only=True)
class Difference:
    """One setting of a repository that is not as declared."""

    setting: str
    found: Any
    declared: Any
    detail: str = ""
    """What of a policy differs."""

    def __str__(self) -> str:
        """`tagMutability: IMMUTABLE -> MUTABLE`."""
        return f"{self.setting}: {self.detail or f'{_told(self.found)} -> {_told(self.declared)}'}"

    def to_json(self) -> dict[str, Any]:
        """For machines."""
        return asdict(self)


def intended(
    settings: StackSettings, name: str, account: Account, default_tags: Mapping[str, str]
) -> State:
    """The repository of this name, as the settings have it.

    Raises InvalidInputError where AWS would refuse its policy for its length.
    """
    repository = settings.repositories[name]
    args = settings.repository_args(name, account)
    filters = exclusion_filters(
        args["tag_mutability"], args["movable_tags"], args.get("write_once_tags", [])
    )
    rules = retention.lifecycle_policy(args["movable_tags"], args.get("retention", []))
    place = f"{account.partition}:ecr:{account.region}:{account.id}"
    return State(
        arn=f"arn:{place}:repository/{name}",
        name=name,
        tag_mutability=args["tag_mutability"],
        exclusion_filters=tuple(filters),
        scan_on_push=repository.scan_on_push,
        encryption="KMS" if repository.kms_key else "AES256",
        kms_key=repository.kms_key or None,
        tags={**default_tags, **repository.tags},
        lifecycle_policy=to_json(rules),
        policy=to_json(repository_policy(args["access"])),
    )


def differences(found: State, declared: State) -> list[Difference]:
    """What is not as declared. Tags that AWS's services have set do not count."""
    differing = []
    for setting in ("encryption", "kms_key", "tag_mutability", "scan_on_push"):
        there, wanted = getattr(found, setting), getattr(declared, setting)
        if there != wanted:
            named = _SETTINGS[setting]
            differing.append(Difference(setting=named, found=there, declared=wanted))
    filters = [sorted(it.exclusion_filters) for it in (found, declared)]
    if filters[0] != filters[1]:
        named = "tagMutability's exclusion filters"
        differing.append(Difference(setting=named, found=filters[0], declared=filters[1]))
    own = {key: it for key, it in found.tags.items() if not key.startswith(AWS_TAGS)}
    for key in sorted(own.keys() | declared.tags.keys()):
        there, wanted = own.get(key), declared.tags.get(key)
        if there != wanted:
            named = f"resource tag {key}"
            differing.append(Difference(setting=named, found=there, declared=wanted))
    differing += _policy_differences(found.policy, declared.policy)
    differing += _lifecycle_differences(found.lifecycle_policy, declared.lifecycle_policy)
    return differing


_SETTINGS: Final = {
    "encryption": "encryption",
    "kms_key": "kmsKey",
    "tag_mutability": "tagMutability",
    "scan_on_push": "scanOnPush",
}
REPLACING: Final = frozenset({"encryption", "kmsKey"})
"""The settings that no update changes: another value means another repository."""

REPOSITORY_POLICY: Final = "repository policy"
LIFECYCLE_POLICY: Final = "lifecycle policy"


_ROOT: Final = re.compile(r"arn:[a-z-]+:iam::(\d{12}):root")


def statements(text: str | None) -> list[dict[str, Any]]:
    """The statements of a repository policy; none where there is no policy."""
    written = (_parsed(text) or {}).get("Statement", [])
    return [written] if isinstance(written, dict) else list(written)


def spoken_of(statement: Mapping[str, Any], number: int) -> str:
    """How a statement is named in a message."""
    return f"statement {statement.get('Sid') or number}"


def principals(written: Any) -> set[tuple[str, str]]:
    """Whom a Principal element names, by kind and name. An account is named by its id.

    https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_elements_principal.html
    """
    by_kind = written if isinstance(written, dict) else {"AWS": written}
    return {
        (kind, _ROOT.sub(r"\1", name)) for kind, names in by_kind.items() for name in _listed(names)
    }


def canonical(statement: Mapping[str, Any]) -> str:
    """A statement as text, the same for all ways to write it."""
    plain = {
        key: sorted(principals(it)) if key in {"Principal", "NotPrincipal"} else _sorted(it)
        for key, it in statement.items()
    }
    return json.dumps(plain, sort_keys=True)


def lost_rules(found: str | None, declared: str | None) -> list[str]:
    """The rules of a lifecycle policy that another does not have, whatever their numbers.

    Of a policy that cannot be read here, only that it is one.
    """
    try:
        there, kept = (() if text is None else read_policy(text) for text in (found, declared))
    except InvalidInputError as error:
        return [f"its whole lifecycle policy, which cannot be compared: {error.faults[0]}"]
    still = {replace(it, priority=0) for it in kept}
    return [f"lifecycle {_does(it)}" for it in there if replace(it, priority=0) not in still]


def _does(rule: Rule) -> str:
    number = f"{rule.number:,}"
    match rule.count_type:
        case "imageCountMoreThan":
            when = f"all but the newest {number}"
        case "sinceImagePulled":
            when = f"{number} days after the last pull"
        case "sinceImageTransitioned":
            when = f"{number} days after archiving"
        case _:
            when = f"{number} days after the push"
    return f"{rule}: {rule.action} {when}"


def _policy_differences(found: str | None, declared: str | None) -> Iterator[Difference]:
    there, wanted = map(_parts, (found, declared))
    if there.keys() == wanted.keys():
        return
    missing = [name for key, name in wanted.items() if key not in there]
    additional = [name for key, name in there.items() if key not in wanted]
    yield Difference(
        setting=REPOSITORY_POLICY,
        found=_parsed(found),
        declared=_parsed(declared),
        detail=_set_apart(found, missing, additional),
    )


def _parts(text: str | None) -> dict[str, str]:
    """The parts of a policy, by what they mean, and how they are spoken of."""
    if text is None:
        return {}
    # https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_elements_version.html
    version = f"version {_parsed(text).get('Version', '2008-10-17')}"
    stated = enumerate(statements(text), start=1)
    return {version: version} | {canonical(it): spoken_of(it, number) for number, it in stated}


def _lifecycle_differences(found: str | None, declared: str | None) -> Iterator[Difference]:
    there, wanted = (_rules(text) for text in (found, declared))
    if there == wanted:
        return
    yield Difference(
        setting=LIFECYCLE_POLICY,
        found=_parsed(found),
        declared=_parsed(declared),
        detail=_set_apart(
            found,
            [_rule_named(it) for it in wanted or [] if it not in (there or [])],
            [_rule_named(it) for it in there or [] if it not in (wanted or [])],
        ),
    )


def _rules(text: str | None) -> list[Any] | None:
    if text is None:
        return None
    return sorted(_parsed(text)["rules"], key=lambda it: it["rulePriority"])


def _rule_named(rule: Mapping[str, Any]) -> str:
    described = rule.get("description")
    return f"rule {rule['rulePriority']}" + (f" ({described})" if described else "")


def _set_apart(found: str | None, missing: Sequence[str], additional: Sequence[str]) -> str:
    if found is None:
        return f"none -> {', '.join(missing)}"
    parts = (("not there", missing), ("not declared", additional))
    return "; ".join(f"{what}: {', '.join(names)}" for what, names in parts if names)


def _parsed(text: str | None) -> Any:
    return None if text is None else json.loads(text)


def _listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


def _sorted(value: Any) -> Any:
    """Lists as sets, a single value as a list of it."""
    if isinstance(value, dict):
        return {key: _sorted(it) for key, it in value.items()}
    return sorted({it if isinstance(it, str) else json.dumps(it) for it in _listed(value)})


def _told(value: Any) -> str:
    match value:
        case None | []:
            return "none"
        case list():
            return ", ".join(value)
        case bool():
            return json.dumps(value)
        case _:
            return str(value)
