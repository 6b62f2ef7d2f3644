"""Pure: the entry in a stack file for an existing repository, and what its adoption changes.

Pulumi imports it and updates it in the same deployment, except for what cannot be updated: another
encryption would be another repository, and the import is refused.
"""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from io import StringIO
from typing import Any, Final

from ruamel.yaml import YAML
from ruamel.yaml.scalarstring import DoubleQuotedScalarString

from container_images.access.policy import NO_POLICY, parse
from container_images.lifecycle.document import read_policy
from container_images.lifecycle.listing import RepositoryImages
from container_images.lifecycle.simulation import simulate
from container_images.policies.invalid_input import InvalidInputError
from container_images.settings.model import RepositorySettings
from container_images.stack.declared import DeclaredStack
from container_images.stack.differences import (
    AWS_TAGS,
    REPLACING,
    Difference,
    describe,
    differences,
)
from container_images.stack.grants import lambda_accounts, service_remarks
from container_images.stack.registry import CONSOLE_PREFIXES, is_cached
from container_images.stack.state import State, intended

Adoption = dict[str, Any]
"""What becomes of a repository when a stack adopts it: `entry`, `blocks`, `warnings`, `loses` and
`changes` of docs/adoption.md. No entry where the stack has one, no changes without a stack."""


def adoption(
    live: State,
    stack: DeclaredStack | None,
    images: RepositoryImages | None = None,
    cache_prefixes: Iterable[str] = (),
) -> Adoption:
    """What adopting a repository means, for a stack where one is given.

    The stack's own entry for it counts, if there is one, or else the entry that is proposed.
    `cache_prefixes` are those of the registry's pull-through cache rules.
    """
    own = stack.settings.repositories.get(live.name) if stack else None
    policy = parse(live.policy) if live.policy else NO_POLICY
    accounts = lambda_accounts(policy, live.arn)
    entry = None if own else _entry(live, stack, accounts)
    differing: list[Difference] = []
    blocks: list[str] = []
    if not stack and live.encryption not in {"AES256", "KMS"}:
        blocks.append(f"encryption: no setting declares {live.encryption}; leave it out")
    warnings = [
        *_managed_elsewhere(live, cache_prefixes),
        *service_remarks(policy, live.arn, accounts),
    ]
    if stack and own and not own.import_existing:
        warnings.append(
            f"its entry in Pulumi.{stack.name}.yaml has no import: true; unless the stack has "
            "adopted it already, the update tries to create it and fails"
        )
    try:
        if stack:
            entries = stack if own else stack.changed(repositories={live.name: entry})
            declared = intended(entries, live.name)
            differing = differences(live, declared)
            warnings += _expiring(declared, stack.name, images) if images else ()
    except InvalidInputError as error:
        blocks = [*map(str, error.problems)]
    blocks += (describe(change) for change in differing if change["setting"] in REPLACING)
    changes = [change for change in differing if change["setting"] not in REPLACING]
    loses = [
        f"{change['setting']} {part}"
        for change in differing
        for part in change["undeclared"]
        if ": {" in part  # not the version of the policy language
    ]
    result = {"repository": live.name, "entry": entry, "changes": changes if stack else None}
    return {**result, "loses": loses, "blocks": blocks, "warnings": warnings}


def _entry(
    live: State, stack: DeclaredStack | None, accounts_of_lambda: Sequence[str]
) -> dict[str, Any]:
    """The repository's entry: what differs from the defaults and from the stack's settings."""
    entry: dict[str, Any] = {"import": True}
    if live.kms_key:
        entry["kmsKey"] = live.kms_key
    if live.scan_on_push is not RepositorySettings.model_fields["scan_on_push"].default:
        entry["scanOnPush"] = live.scan_on_push
    if live.arn.split(":")[4] in accounts_of_lambda and not (stack and stack.settings.lambda_pull):
        entry["lambdaPull"] = True
    default_tags = stack.default_tags if stack else {}
    tags = {
        key: value
        for key, value in sorted(live.tags.items())
        if key not in default_tags and not key.startswith(AWS_TAGS)
    }
    return entry | ({"tags": tags} if tags else {})


def to_yaml(adoptions: Iterable[Adoption]) -> str:
    """The new entries of those that nothing blocks, as they stand under the settings' key."""
    entries = {each["repository"]: each["entry"] for each in adoptions if not each["blocks"]}
    entries = {name: entry for name, entry in entries.items() if entry}
    if not entries:
        return ""
    yaml, written = YAML(), StringIO()
    yaml.width = 1 << 16  # a text stays on its line
    yaml.dump(_quoted(entries), written)
    return written.getvalue()


_PLAIN: Final = re.compile(r"[a-z][a-z0-9/:-]{4,}[a-z0-9]", re.IGNORECASE)
"""Text to every reader of YAML 1.1 and 1.2: their words and numbers are shorter, or begin with
something else than a letter."""


def _quoted(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {_quoted(key): _quoted(part) for key, part in value.items()}
    if isinstance(value, str) and value != "tags" and not _PLAIN.fullmatch(value):
        return DoubleQuotedScalarString(value)
    return value


def _managed_elsewhere(live: State, cache_prefixes: Iterable[str]) -> Iterator[str]:
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


def _expiring(declared: State, stack: str, images: RepositoryImages) -> Iterator[str]:
    rules = read_policy(declared.lifecycle_policy or "")
    verdicts = simulate(rules, images.images, datetime.now(UTC))
    expiring = sum(verdict.action != "keep" for verdict in verdicts)
    if expiring:
        at_most = "up to " if any(verdict.image.is_index for verdict in verdicts) else ""
        yield (
            f"the stack's lifecycle policy would expire or archive {at_most}{expiring:,} of "
            f"{len(verdicts):,} images; once the entry is in the stack file, list them: "
            f"container-images images {declared.name} --stack {stack} --planned --expiring"
        )
