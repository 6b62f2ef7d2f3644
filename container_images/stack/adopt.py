"""Pure: the entry in a stack file for an existing repository, and what its adoption changes.

Pulumi imports it and updates it in the same deployment, except for what cannot be updated: another
encryption would be another repository, and the import is refused.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from io import StringIO
from typing import TYPE_CHECKING, Any, Final

from ruamel.yaml import YAML
from ruamel.yaml.scalarstring import DoubleQuotedScalarString

from container_images.lifecycle.document import read_policy
from container_images.lifecycle.listing import RepositoryImages
from container_images.lifecycle.simulation import simulate
from container_images.policies.invalid_input import InvalidInputError
from container_images.settings.model import RepositorySettings
from container_images.stack.registry import CONSOLE_PREFIXES, is_cached
from container_images.stack.state import (
    AWS_TAGS,
    REPLACING,
    Difference,
    State,
    differences,
    intended,
)
from container_images.stack.statements import lambda_accounts, service_remarks

if TYPE_CHECKING:
    from container_images.stack.declared import DeclaredStack


@dataclass(frozen=True, kw_only=True)
class Adoption:
    """What becomes of a repository when a stack adopts it."""

    live: State
    entry: Mapping[str, Any] | None
    """What to write for it under `container-images:repositories`. None where the stack has an
    entry for it."""
    warnings: Sequence[str]
    blocks: Sequence[str] = ()
    """Why Pulumi or the settings would refuse it."""
    changes: Sequence[Difference] | None = None
    """What the first update changes. None where no stack is given to compare with."""

    @property
    def loses(self) -> list[str]:
        """The statements and rules of its present policies that the stack does not declare.

        This compares what is written: the stack may grant the same in another statement.
        """
        return [
            f"{change.setting} {part}"
            for change in self.changes or ()
            for part in change.undeclared
            if ": {" in part  # not the version of the policy language
        ]

    def to_json(self) -> dict[str, Any]:
        """For machines."""
        changes = self.changes
        return {
            "repository": self.live.name,
            "entry": self.entry,
            "changes": None if changes is None else [change.to_json() for change in changes],
            "loses": self.loses,
            "blocks": list(self.blocks),
            "warnings": list(self.warnings),
        }


def adoption(
    live: State,
    stack: "DeclaredStack | None",
    images: RepositoryImages | str | None = None,
    now: datetime | None = None,
    cache_prefixes: Iterable[str] = (),
) -> Adoption:
    """What adopting a repository means, for a stack where one is given.

    The stack's own entry for it counts, if there is one, or else the entry that is proposed.
    `images` are the repository's, or why they are not known; `now` is when they are judged.
    `cache_prefixes` are those of the registry's pull-through cache rules.
    """
    own = stack.settings.repositories.get(live.name) if stack else None
    entry = None if own else entry_of(live, stack)
    blocks = [*_undeclarable(live)]
    warnings = [
        *_managed_elsewhere(live, cache_prefixes),
        *service_remarks(live.policy, live.arn),
    ]
    changes: list[Difference] | None = None
    if stack and own and not own.import_existing:
        warnings.append(
            f"its entry in Pulumi.{stack.name}.yaml has no import: true; unless the stack has "
            "adopted it already, the update tries to create it and fails"
        )
    if stack and not blocks:
        try:
            declared = intended(stack if own else stack.with_only(live.name, entry), live.name)
            differing = differences(live, declared)
            changes = [change for change in differing if change.setting not in REPLACING]
            blocks = [
                f"{change}: its encryption cannot be changed, and Pulumi refuses to replace it; "
                f"correct kmsKey in Pulumi.{stack.name}.yaml"
                for change in differing
                if change.setting in REPLACING
            ]
            if images is not None and now is not None:
                warnings += _expiring(declared, stack.name, images, now)
        except InvalidInputError as error:
            blocks = [*map(str, error.problems)]
    return Adoption(live=live, entry=entry, warnings=warnings, blocks=blocks, changes=changes)


def entry_of(live: State, stack: "DeclaredStack | None") -> dict[str, Any]:
    """The repository's entry: what differs from the defaults and from the stack's settings."""
    entry: dict[str, Any] = {"import": True}
    if live.kms_key:
        entry["kmsKey"] = live.kms_key
    if live.scan_on_push is not RepositorySettings.model_fields["scan_on_push"].default:
        entry["scanOnPush"] = live.scan_on_push
    own_account = live.arn.split(":")[4]
    accounts = lambda_accounts(live.policy, live.arn)
    if own_account in accounts and not (stack and stack.settings.lambda_pull):
        entry["lambdaPull"] = True
    defaults = stack.default_tags if stack else {}
    tags = {
        key: value
        for key, value in sorted(live.tags.items())
        if key not in defaults and not key.startswith(AWS_TAGS)
    }
    return entry | ({"tags": tags} if tags else {})


def to_yaml(adoptions: Iterable[Adoption]) -> str:
    """The new entries of those that nothing blocks, as they stand under the settings' key."""
    entries = {each.live.name: each.entry for each in adoptions if each.entry and not each.blocks}
    if not entries:
        return ""
    yaml, written = YAML(), StringIO()
    yaml.width = 1 << 16  # a text stays on its line
    yaml.dump(_quoted(entries), written)
    return written.getvalue()


def _quoted(value: Any) -> Any:
    """Texts in quotes where a reader of another version of YAML could take them for no text."""
    if isinstance(value, Mapping):
        return {_quoted(key): _quoted(part) for key, part in value.items()}
    if isinstance(value, str) and not _PLAIN.fullmatch(value):
        return DoubleQuotedScalarString(value)
    return value


_PLAIN: Final = re.compile(
    r"(?!(y|n|yes|no|on|off|true|false|null)$)[a-z]([a-z0-9/:-]*[a-z0-9])?", re.IGNORECASE
)


def _undeclarable(live: State) -> Iterable[str]:
    """The encryption that the settings have no key for.

    The key of AWS's own, aws/ecr, is one like any other: ECR describes the repository with its ARN,
    and that is what the provider compares.
    https://docs.aws.amazon.com/AmazonECR/latest/APIReference/API_EncryptionConfiguration.html
    """
    if live.encryption == "KMS" and not live.kms_key:
        yield "ECR does not say which KMS key encrypts it; look it up, and write it as kmsKey"
    if live.encryption not in {"AES256", "KMS"}:
        yield (
            f"its encryption is {live.encryption}, which no setting declares and no update "
            "changes; leave it out, or copy its images to a new repository"
        )


def _managed_elsewhere(live: State, cache_prefixes: Iterable[str]) -> Iterable[str]:
    if owner := live.tags.get("aws:cloudformation:stack-name"):
        yield (
            f"the CloudFormation stack {owner} manages it too, and may set it back; take it out "
            "there first, with DeletionPolicy: Retain"
        )
    prefixes = [*cache_prefixes, *CONSOLE_PREFIXES]
    if prefix := next((prefix for prefix in prefixes if is_cached(live.name, prefix)), None):
        yield (
            f"it looks like a repository of the pull-through cache {prefix}: pulls would no longer "
            "update it, since the guard lets only the pipeline roles put images; leave it out, or "
            "copy the image to a repository of the stack"
        )


def _expiring(
    declared: State, stack: str, images: RepositoryImages | str, now: datetime
) -> Iterable[str]:
    if isinstance(images, str):
        yield f"not known how many images the lifecycle policy would expire: {images}"
        return
    rules = read_policy(declared.lifecycle_policy or "")
    verdicts = simulate(rules, images.images, now)
    expiring = sum(verdict.action != "keep" for verdict in verdicts)
    if expiring:
        unknown = any(verdict.image.is_index for verdict in verdicts)
        yield (
            f"the stack's lifecycle policy would expire or archive {'up to ' if unknown else ''}"
            f"{expiring:,} of {len(verdicts):,} images; once the entry is in the stack file, list "
            f"them: container-images images {declared.name} --stack {stack} --planned --expiring"
        )
