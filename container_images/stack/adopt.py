"""Pure: the entry in a stack file for an existing repository, and what its adoption changes.

Pulumi imports it and updates it in the same deployment, save what cannot be updated: another
encryption would be another repository, and the import is refused.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from io import StringIO
from typing import TYPE_CHECKING, Any, Final

from pydantic import TypeAdapter, ValidationError
from ruamel.yaml import YAML
from ruamel.yaml.scalarstring import DoubleQuotedScalarString

from container_images.lifecycle.files import Listing, read_policy
from container_images.lifecycle.simulation import simulate
from container_images.policies.invalid_input import InvalidInputError, Problem
from container_images.settings.draft import completed
from container_images.settings.model import RepositorySettings
from container_images.settings.values import RepositoryName
from container_images.stack.grants import lets_lambda_pull, lost_statements
from container_images.stack.state import (
    AWS_TAGS,
    REPLACING,
    Difference,
    State,
    differences,
    intended,
    lost_rules,
)

if TYPE_CHECKING:
    from container_images.stack.declared import DeclaredStack


@dataclass(frozen=True, kw_only=True)
class Adoption:
    """What becomes of a repository when a stack adopts it."""

    found: State
    entry: Mapping[str, Any] | None
    """What to write for it under `container-images:repositories`. None where the stack has an
    entry for it."""
    blocks: Sequence[str] = ()
    """Why Pulumi would refuse it, or the settings."""
    changes: Sequence[Difference] | None = None
    """What the first update changes. None where no stack is given to compare with."""
    loses: Sequence[str] = ()
    """What its present policies say, and the stack's do not."""
    warnings: Sequence[str] = ()

    def to_json(self) -> dict[str, Any]:
        """For machines."""
        return {
            "repository": self.found.name,
            "entry": self.entry,
            "found": self.found.to_json(),
            "changes": None if self.changes is None else [it.to_json() for it in self.changes],
            "loses": list(self.loses),
            "blocks": list(self.blocks),
            "warnings": list(self.warnings),
        }


def adoption(
    found: State,
    stack: "DeclaredStack | None",
    images: Listing | str | None = None,
    now: datetime | None = None,
) -> Adoption:
    """What adopting a repository means, for a stack where one is given.

    `images` are the repository's, or why they are not known; `now` is when they are judged. The
    stack's own entry for the repository counts, if it has one; or else the entry that is proposed.
    """
    own = stack.settings.repositories.get(found.name) if stack else None
    entry = entry_of(found, stack) if own is None else None
    warnings = []
    if owner := found.tags.get("aws:cloudformation:stack-name"):
        warnings.append(
            f"the CloudFormation stack {owner} manages it too, and may set it back; take it out "
            "there first, with DeletionPolicy: Retain"
        )
    blocks = [*_not_expressible(found)]
    if entry is not None:
        written: dict[str, Any] = {}
        if stack:
            written = stack.settings.model_dump(mode="json", by_alias=True, exclude_unset=True)
        entries = completed(written | {"repositories": {found.name: entry}})["repositories"]
        try:
            own = _ENTRIES.validate_python(entries)[found.name]
        except ValidationError as invalid:
            blocks += _refused(invalid)
    elif own and stack and not own.import_existing:
        warnings.append(
            f"its entry in Pulumi.{stack.name}.yaml has no import: true; unless the stack has "
            "adopted it already, the update tries to create it and fails"
        )
    adopted = Adoption(found=found, entry=entry, blocks=blocks, warnings=warnings)
    if stack is None or own is None or blocks:
        return adopted
    repositories = {**stack.settings.repositories, found.name: own}
    settings = stack.settings.model_copy(update={"repositories": repositories})
    try:
        declared = intended(replace(stack, settings=settings), found.name)
    except InvalidInputError as error:  # its own lambdaPull may be too much
        return replace(adopted, blocks=[str(it) for it in error.problems])
    differing = differences(found, declared)
    if images is not None and now is not None:
        warnings += _expiring(declared, images, now)
    return replace(
        adopted,
        blocks=[
            f"{it}: its encryption cannot be changed, and Pulumi refuses to replace it; correct "
            f"kmsKey in Pulumi.{stack.name}.yaml"
            for it in differing
            if it.setting in REPLACING
        ],
        changes=[it for it in differing if it.setting not in REPLACING],
        loses=[
            *lost_statements(found.policy, declared.policy, stack.account.id),
            *lost_rules(found.lifecycle_policy, declared.lifecycle_policy),
        ],
    )


_ENTRIES: Final = TypeAdapter(dict[RepositoryName, RepositorySettings])


def entry_of(found: State, stack: "DeclaredStack | None") -> dict[str, Any]:
    """The repository's entry: what its settings say, save what the stack or a default says too."""
    entry: dict[str, Any] = {"import": True}
    if found.kms_key:
        entry["kmsKey"] = found.kms_key
    if found.scan_on_push is not RepositorySettings.model_fields["scan_on_push"].default:
        entry["scanOnPush"] = found.scan_on_push
    if lets_lambda_pull(found.policy) and not (stack and stack.settings.lambda_pull):
        entry["lambdaPull"] = True
    defaults = stack.default_tags if stack else {}
    tags = {
        key: it
        for key, it in sorted(found.tags.items())
        if key not in defaults and not key.startswith(AWS_TAGS)
    }
    return entry | ({"tags": tags} if tags else {})


def to_yaml(adoptions: Iterable[Adoption]) -> str:
    """The new entries of those that nothing blocks, as they stand under the settings' key."""
    entries = {it.found.name: it.entry for it in adoptions if it.entry and not it.blocks}
    if not entries:
        return ""
    yaml, written = YAML(), StringIO()
    yaml.width = 1 << 16  # a text stays on its line
    yaml.dump(_quoted(entries), written)
    return written.getvalue()


def _quoted(value: Any) -> Any:
    """Texts in quotes where a reader of another version of YAML could take them for no text."""
    if isinstance(value, Mapping):
        return {_quoted(key): _quoted(it) for key, it in value.items()}
    if isinstance(value, str) and not _is_plain(value):
        return DoubleQuotedScalarString(value)
    return value


def _is_plain(text: str) -> bool:
    letters = text.replace("-", "").replace("/", "").replace(":", "")
    words = {"y", "n", "yes", "no", "on", "off", "true", "false", "null"}
    plain = letters.isascii() and letters.isalnum() and text[0].isalpha() and text[-1].isalnum()
    return plain and text.lower() not in words


# --- What blocks ----------------------------------------------------------------------------------


def _not_expressible(found: State) -> Iterable[str]:
    """The encryption that the settings have no key for.

    The key of AWS's own, aws/ecr, is one like any other: ECR describes the repository with its ARN,
    and that is what the provider compares.
    https://docs.aws.amazon.com/AmazonECR/latest/APIReference/API_EncryptionConfiguration.html
    """
    if found.encryption == "KMS" and not found.kms_key:
        yield "ECR does not say which KMS key encrypts it; look it up, and write it as kmsKey"
    if found.encryption not in {"AES256", "KMS"}:
        yield (
            f"its encryption is {found.encryption}, which no setting declares and no update "
            "changes; leave it out, or copy its images to a new repository"
        )


def _refused(invalid: ValidationError) -> Iterable[str]:
    """What the settings refuse in the entry."""
    for it in invalid.errors(include_url=False):
        path = it["loc"][1:]
        where = ("the name",) if path == ("[key]",) else path
        rule, fix = it["ctx"]["rule"], it["ctx"]["fix"]
        yield str(Problem(where=where, value=it["input"], rule=rule, fix=fix))


# --- What else there is to know -------------------------------------------------------------------


def _expiring(declared: State, images: Listing | str, now: datetime) -> Iterable[str]:
    if isinstance(images, str):
        yield f"not known how many images the lifecycle policy would expire: {images}"
        return
    rules = read_policy(declared.lifecycle_policy or "")
    verdicts = simulate(rules, images.images, now)
    going = sum(it.action != "keep" for it in verdicts)
    if going:
        unknown = any(it.image.is_index and it.image.children is None for it in verdicts)
        yield (
            f"the first update's lifecycle policy would expire {'up to ' if unknown else ''}"
            f"{going:,} of {len(verdicts):,} images; try it first: container-images expiring"
        )
