"""ADR040's workflow: what the pipeline does with images, and what ECR refuses to everybody.

The acts follow on each other, as in a pipeline. They are played on one repository of each kind:
those with the same tag mutability and convention behave alike.
"""

import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Final, Literal

from container_images.aws.errors import RefusedError
from container_images.rehearsal.embedded_aws import REFUSALS, EmbeddedAws, embedded_aws
from container_images.rehearsal.evidence import verification
from container_images.rehearsal.moto_fixes import TagRule
from container_images.rehearsal.pipeline import FailedError, NotPlayedError, Pipeline
from container_images.rehearsal.program import Update, run
from container_images.settings.stack_file import StackFile
from container_images.stack.adopt import adoption
from container_images.stack.declared import DeclaredStack
from container_images.stack.state import State, differences, intended


@dataclass(frozen=True, kw_only=True)
class Act:
    """What was done, and whether it came out as ADR040 asks."""

    act: str
    ok: bool
    detail: str
    by: Literal["moto", "simulated"]
    """Whose behaviour it shows: moto's alone, or also one that this project puts in moto's place,
    such as the rule of the exclusion filters (`TagRule`) and Pulumi's import."""


def perform(aws: EmbeddedAws, update: Update, stack: DeclaredStack) -> Iterator[Act]:
    """Play each act. One that does not apply to a repository says so.

    The acts follow the settings, not what the program has made of them.
    """
    live = list(aws.repositories())
    declared = [intended(stack, name) for name in stack.settings.repositories]
    checks = [partial(_compare, declared, live), partial(_check_options, update)]
    yield _played(aws.tag_rule, "declared", checks)
    there = {state.name for state in live}
    alike: dict[tuple[str, tuple[str, ...]], list[str]] = {}
    for state in declared:
        if state.name in there:
            kind = (state.tag_mutability, state.exclusion_filters)
            alike.setdefault(kind, []).append(state.name)
    settings = stack.settings
    ecr = aws.ecr_as(settings.pipeline_roles_in(aws.account)[0])
    kinds = [
        (names, Pipeline(ecr, names[0], *kind, settings.movable_tags, settings.convention))
        for kind, names in alike.items()
    ]
    for name, act in _ACTS.items():
        parts = [partial(_play_for_all, act, pipeline, names) for names, pipeline in kinds]
        yield _played(aws.tag_rule, name, parts)
    yield _verified(live, stack)


_ACTS: Final[dict[str, Callable[[Pipeline], str]]] = {
    "push-builds": Pipeline.push_builds,
    "move-latest": lambda pipeline: pipeline.move(pipeline.first, pipeline.second),
    "keep-unique-tag": Pipeline.keep_unique_tag,
    "refuse-overwriting": Pipeline.refuse_overwriting,
    "move-latest-back": lambda pipeline: pipeline.move(pipeline.second, pipeline.first),
    "promote": Pipeline.promote,
    "refuse-backwards": Pipeline.refuse_backwards,
    "roll-back": Pipeline.roll_back,
    "resolve": Pipeline.resolve,
}


def _play_for_all(act: Callable[[Pipeline], str], pipeline: Pipeline, names: Sequence[str]) -> str:
    try:
        return act(pipeline)
    except NotPlayedError as reason:
        raise NotPlayedError(f"not played for {some_of(names)}: {reason}") from None


def some_of(names: Sequence[str]) -> str:
    """The first few names, and the number of the others."""
    more = f" and {len(names) - _MOST_NAMED} more" if names[_MOST_NAMED:] else ""
    return ", ".join(names[:_MOST_NAMED]) + more


_MOST_NAMED: Final = 5


def _played(tag_rule: TagRule, name: str, parts: Sequence[Callable[[], str]]) -> Act:
    """One act in all its parts. A success is told once; what failed or does not apply, of each."""
    tag_rule.has_decided = False
    done, failures, unplayed = list[str](), list[str](), list[str]()
    for part in parts:
        try:
            done.append(part())
        except NotPlayedError as reason:
            unplayed.append(str(reason))
        except (FailedError, RefusedError, *REFUSALS) as error:
            failures.append(str(error))
    by: Literal["moto", "simulated"] = "simulated" if tag_rule.has_decided else "moto"
    detail = "; ".join([*(failures or done[:1]), *unplayed])
    return Act(act=name, ok=not failures, detail=detail, by=by)


def _compare(declared: Sequence[State], live: Sequence[State]) -> str:
    """What the API has, against what the settings say."""
    there, wanted = ({state.name: state for state in states} for states in (live, declared))
    if there.keys() != wanted.keys():
        raise FailedError(f"there is {sorted(there)}, and should be {sorted(wanted)}")
    for name, state in there.items():
        if state.arn != wanted[name].arn:
            raise FailedError(f"{name} is {state.arn}, and should be {wanted[name].arn}")
        if differing := differences(state, wanted[name]):
            raise FailedError(f"{name} is not as declared: {'; '.join(map(str, differing))}")
    return f"all repositories ({len(wanted)}) are as the settings say"


def _check_options(update: Update) -> str:
    """Pulumi's options that keep images and guard from being deleted; AWS does not know them."""
    protected_and_retained = {
        "aws:ecr/repository:Repository": (True, True),
        "aws:ecr/lifecyclePolicy:LifecyclePolicy": (False, True),
        "aws:ecr/repositoryPolicy:RepositoryPolicy": (False, True),
    }
    for resource in update.resources:
        options = protected_and_retained.get(resource.type, (False, False))
        if (resource.protect, resource.retain_on_delete) != options:
            raise FailedError(f"{resource.name} ({resource.type}) is not protected and retained")
    return "protected and retained"


def _verified(live: Sequence[State], stack: DeclaredStack) -> Act:
    """`verify` sees the first repository as the stack declares it, and guarded."""
    errors, number = verification(live[0], stack)
    done = f"{live[0].name}: {number} claims hold, and nothing differs"
    return Act(act="verify", ok=not errors, detail="; ".join(errors) or done, by="moto")


def open_tags(stack: DeclaredStack) -> list[str]:
    """A warning about the tags that anybody who pushes may overwrite: the settings allow it."""
    settings = stack.settings
    warnings = [it for it in [settings.overwriting_warning()] if it]
    names = [
        name
        for name, repository in settings.repositories.items()
        if repository.tag_mutability == "MUTABLE_WITH_EXCLUSION"
    ]
    if names:
        where = "every repository" if len(names) == len(settings.repositories) else some_of(names)
        warnings.append(
            f"Tags that no immutableTags pattern matches, such as scratch, can be overwritten in "
            f"{where}: with IMMUTABLE_WITH_EXCLUSION only the movableTags could be."
        )
    return warnings


# --- Adoption -------------------------------------------------------------------------------------


def adopt(file: StackFile, stack: DeclaredStack) -> Act:
    """A repository that exists, immutable and without policies, comes under the stack's guard.

    An AWS of its own has the stack's first repository in that state, with two builds. The program
    of the stack's file imports it. Where a failure is the settings', `perform` has found it.
    """
    name = next(iter(stack.settings.repositories))
    entries, audit = f"{file.project}:repositories", f"{file.project}:audit"
    entry = json.loads(file.config[entries])[name] or {}
    only = {entries: json.dumps({name: entry | {"import": True}})}
    # The audit is no part of an adoption.
    config = {key: value for key, value in file.config.items() if key != audit} | only
    file = replace(file, config=config)
    with embedded_aws(file) as aws:
        act = _played(aws.tag_rule, "adopt", [partial(_adopt, aws, file, stack, name)])
    return replace(act, by="simulated")  # the import, which is the engine's


def _adopt(aws: EmbeddedAws, file: StackFile, stack: DeclaredStack, name: str) -> str:
    declared, settings = intended(stack, name), stack.settings
    ecr = aws.ecr_as(settings.pipeline_roles_in(aws.account)[0])
    key = {"kmsKey": declared.kms_key} if declared.kms_key else {}
    ecr.create_repository(
        repositoryName=name,
        imageTagMutability="IMMUTABLE",
        encryptionConfiguration={"encryptionType": declared.encryption, **key},  # type: ignore[typeddict-item]
    )
    kind = declared.tag_mutability, declared.exclusion_filters
    pipeline = Pipeline(ecr, name, *kind, settings.movable_tags, settings.convention)
    pipeline.push_builds()
    [before], images = aws.repositories(), pipeline.images()
    planned = adoption(before, stack)
    if planned.blocks or [*(planned.changes or ())] != differences(before, declared):
        raise FailedError(f"{name}: adopt reports {planned.to_json()}")
    run(file, aws)
    [after] = aws.repositories()
    _compare([declared], [after])
    if pipeline.images() != images:
        raise FailedError(f"{name}: the images are {pipeline.images()}, and were {images}")
    pipeline.move(pipeline.first, pipeline.second)
    return (
        f"{name}, which existed as {before.tag_mutability} without policies, is now "
        f"{after.tag_mutability} and has both, as `container-images adopt` said before; its "
        f"{len(images)} images are kept, and {settings.movable_tags[0]} moves"
    )
