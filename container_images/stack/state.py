"""Pure: what a stack declares of a repository, what is found in AWS, and what differs.

What is compared is what the documents mean, not how they are written: ECR may hand a policy back
with a list of one entry as a text, or an account's root as its id.
"""

import json
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Any, Final

from pydantic.alias_generators import to_camel

from container_images.lifecycle.document import Rule
from container_images.lifecycle.files import read_policy
from container_images.policies import retention
from container_images.policies.document import listed, statements_in, to_json
from container_images.policies.invalid_input import InvalidInputError
from container_images.policies.repository_policy import repository_policy
from container_images.policies.tag_mutability import exclusion_filters

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

    def to_json(self) -> dict[str, Any]:
        """For machines, in the words of the settings; the policies as objects."""
        told = asdict(self)
        told |= {
            "exclusion_filters": list(self.exclusion_filters),
            "lifecycle_policy": _parsed(self.lifecycle_policy),
            "repository_policy": _parsed(told.pop("policy")),
        }
        return {to_camel(key): it for key, it in told.items()}


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


def intended(stack: "DeclaredStack", name: str) -> State:
    """The repository of this name, as the stack declares it.

    Raises InvalidInputError where AWS would refuse its policy for its length.
    """
    account, repository = stack.account, stack.settings.repositories[name]
    args = stack.settings.repository_args(name, account)
    filters = exclusion_filters(
        args["tag_mutability"], args["movable_tags"], args.get("immutable_tags", [])
    )
    rules = retention.lifecycle_policy(args["movable_tags"], args.get("retention", []))
    return State(
        arn=f"arn:{account.partition}:ecr:{account.region}:{account.id}:repository/{name}",
        name=name,
        tag_mutability=args["tag_mutability"],
        exclusion_filters=tuple(filters),
        scan_on_push=repository.scan_on_push,
        encryption="KMS" if repository.kms_key else "AES256",
        kms_key=repository.kms_key or None,
        tags={**stack.default_tags, **repository.tags},
        lifecycle_policy=to_json(rules),
        policy=to_json(repository_policy(args["access"])),
    )


def differences(found: State, declared: State) -> list[Difference]:
    """What is not as declared. Tags that AWS's services have set do not count."""
    there, wanted = _plain(found), _plain(declared)
    return [
        *(
            Difference(setting=it, found=there.get(it), declared=wanted.get(it))
            # The settings in their order, and behind them the tags by their keys.
            for it in sorted({**there, **wanted}, key=lambda it: it if it.startswith(_TAG) else "")
            if there.get(it) != wanted.get(it)
        ),
        *_apart(REPOSITORY_POLICY, found.policy, declared.policy, _statements_named),
        *_apart(LIFECYCLE_POLICY, found.lifecycle_policy, declared.lifecycle_policy, _rules_named),
    ]


def _plain(state: State) -> dict[str, Any]:
    """What is compared as it is, as a message names it."""
    return {
        "encryption": state.encryption,
        "kmsKey": state.kms_key,
        "tagMutability": state.tag_mutability,
        "scanOnPush": state.scan_on_push,
        "tagMutability's exclusion filters": sorted(state.exclusion_filters),
        **{_TAG + key: it for key, it in state.tags.items() if not key.startswith(AWS_TAGS)},
    }


_TAG: Final = "resource tag "

REPLACING: Final = frozenset({"encryption", "kmsKey"})
"""The settings that no update changes: another value means another repository."""

REPOSITORY_POLICY: Final = "repository policy"
LIFECYCLE_POLICY: Final = "lifecycle policy"


_ROOT: Final = re.compile(r"arn:[a-z-]+:iam::(\d{12}):root")


def statements(text: str | None) -> list[dict[str, Any]]:
    """The statements of a repository policy; none where there is no policy."""
    return statements_in(_parsed(text))


def spoken_of(statement: Mapping[str, Any], number: int) -> str:
    """How a statement is named in a message."""
    return f"statement {statement.get('Sid') or number}"


def principals(written: Any) -> set[tuple[str, str]]:
    """Whom a Principal element names, by kind and name. An account is named by its id.

    https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_elements_principal.html
    """
    by_kind = written if isinstance(written, dict) else {"AWS": written}
    return {
        (kind, _ROOT.sub(r"\1", name)) for kind, names in by_kind.items() for name in listed(names)
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
        return [f"its whole lifecycle policy, which cannot be compared: {error.problems[0]}"]
    still = {replace(it, priority=0) for it in kept}
    return [f"lifecycle {_does(it)}" for it in there if replace(it, priority=0) not in still]


def _does(rule: Rule) -> str:
    number = f"{rule.number:,}"
    if rule.count_type == "imageCountMoreThan":
        return f"{rule}: {rule.action} all but the newest {number}"
    since = {"sinceImagePulled": "the last pull", "sinceImageTransitioned": "archiving"}
    return f"{rule}: {rule.action} {number} days after {since.get(rule.count_type, 'the push')}"


def _apart(
    setting: str,
    found: str | None,
    declared: str | None,
    named: Callable[[Any], Mapping[str, str]],
) -> Iterator[Difference]:
    """The parts in which two documents differ; `named` gives them by what they mean."""
    documents = _parsed(found), _parsed(declared)
    there, wanted = ({} if it is None else named(it) for it in documents)
    if there.keys() == wanted.keys():
        return
    missing = ", ".join(name for key, name in wanted.items() if key not in there)
    additional = ", ".join(name for key, name in there.items() if key not in wanted)
    parts = {"not there": missing, "not declared": additional}
    told = "; ".join(f"{what}: {names}" for what, names in parts.items() if names)
    yield Difference(
        setting=setting,
        found=documents[0],
        declared=documents[1],
        detail=f"none -> {missing}" if found is None else told,
    )


def _statements_named(policy: Any) -> dict[str, str]:
    # https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_elements_version.html
    version = f"version {policy.get('Version', '2008-10-17')}"
    stated = enumerate(statements_in(policy), start=1)
    return {version: version} | {canonical(it): spoken_of(it, number) for number, it in stated}


def _rules_named(policy: Any) -> dict[str, str]:
    named = {}
    for rule in sorted(policy["rules"], key=lambda it: it["rulePriority"]):
        described = f" ({rule['description']})" if rule.get("description") else ""
        named[json.dumps(rule, sort_keys=True)] = f"rule {rule['rulePriority']}{described}"
    return named


def _parsed(text: str | None) -> Any:
    return None if text is None else json.loads(text)


def _sorted(value: Any) -> Any:
    """Lists as sets, a single value as a list of it."""
    if isinstance(value, dict):
        return {key: _sorted(it) for key, it in value.items()}
    return sorted({it if isinstance(it, str) else json.dumps(it) for it in listed(value)})


def _told(value: Any) -> str:
    if value is None or value == []:
        return "none"
    if isinstance(value, list):
        return ", ".join(value)
    return json.dumps(value) if isinstance(value, bool) else str(value)
