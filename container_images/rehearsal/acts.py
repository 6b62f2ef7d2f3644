"""ADR040's workflow: what the pipeline does with images, and what ECR refuses to everybody.

The acts follow on each other, as in a pipeline. They are played on one repository of each kind:
those with the same tag mutability behave alike.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Final, Literal

from container_images.aws.errors import RefusedError
from container_images.rehearsal.embedded_aws import REFUSALS, EmbeddedAws
from container_images.rehearsal.pipeline import FailedError, Pipeline
from container_images.rehearsal.program import Update
from container_images.stack.declared import DeclaredStack
from container_images.stack.differences import describe, differences
from container_images.stack.state import State, intended


@dataclass(frozen=True, kw_only=True)
class Act:
    """What was done, and whether it came out as ADR040 asks."""

    act: str
    ok: bool
    detail: str
    by: Literal["moto", "simulated"]
    """Whose behaviour it shows: moto's alone, or also one that this project puts in moto's place,
    which is the rule of the exclusion filters, and the lifecycle policy."""


def perform(aws: EmbeddedAws, update: Update, stack: DeclaredStack) -> Iterator[Act]:
    """Play each act. They follow the settings, not what the program has made of them."""
    live = list(aws.repositories())
    declared = [intended(stack, name) for name in stack.settings.repositories]
    checks = [partial(_compare, declared, live), partial(_check_options, update)]
    yield _played("declared", checks, "moto")
    there, settings = {state.name for state in live}, stack.settings
    ecr = aws.ecr_as(settings.pipeline_roles_in(aws.account)[0])
    kinds: dict[tuple[str, tuple[str, ...]], Pipeline] = {}
    for state in declared:
        kind = (state.tag_mutability, state.exclusion_filters)
        if state.name in there and kind not in kinds:
            kinds[kind] = Pipeline(ecr, state, settings.movable_tags, settings.convention)
    by: Literal["moto", "simulated"] = "simulated" if any(it for _, it in kinds) else "moto"
    for name, act in _ACTS.items():
        yield _played(name, [partial(act, pipeline) for pipeline in kinds.values()], by)


_ACTS: Final[dict[str, Callable[[Pipeline], str]]] = {
    "push-builds": Pipeline.push_builds,
    "move-latest": lambda pipeline: pipeline.move(pipeline.first, pipeline.second),
    "refuse-overwriting": Pipeline.refuse_overwriting,
    "move-latest-back": lambda pipeline: pipeline.move(pipeline.second, pipeline.first),
    "promote": Pipeline.promote,
    "refuse-backwards": Pipeline.refuse_backwards,
    "roll-back": Pipeline.roll_back,
    "resolve": Pipeline.resolve,
}


def _played(name: str, parts: Sequence[Callable[[], str]], by: Literal["moto", "simulated"]) -> Act:
    """One act in all its parts: what failed, or else what was done."""
    done, failures = list[str](), list[str]()
    for part in parts:
        try:
            done.append(part())
        except (FailedError, RefusedError, *REFUSALS) as error:
            failures.append(str(error))
    return Act(act=name, ok=not failures, detail="; ".join(failures or done), by=by)


def _compare(declared: Sequence[State], live: Sequence[State]) -> str:
    """What the API has, against what the settings say."""
    there, wanted = ({state.name: state for state in states} for states in (live, declared))
    if there.keys() != wanted.keys():
        raise FailedError(f"there is {sorted(there)}, and should be {sorted(wanted)}")
    for name, state in there.items():
        if state.arn != wanted[name].arn:
            raise FailedError(f"{name} is {state.arn}, and should be {wanted[name].arn}")
        if differing := differences(state, wanted[name]):
            raise FailedError(f"{name} is not as declared: {'; '.join(map(describe, differing))}")
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


def open_tags(stack: DeclaredStack) -> list[str]:
    """A warning about the tags that anybody who pushes may overwrite: the settings allow it."""
    settings = stack.settings
    warnings = [it for it in [settings.overwriting_warning()] if it]
    modes = {name: it.tag_mutability for name, it in settings.repositories.items()}
    if names := [name for name, mode in modes.items() if mode == "MUTABLE_WITH_EXCLUSION"]:
        where = "every repository" if len(names) == len(modes) else some_of(names)
        warnings.append(
            f"Tags that no immutableTags pattern matches, such as scratch, can be overwritten in "
            f"{where}: with IMMUTABLE_WITH_EXCLUSION only the movableTags could be."
        )
    return warnings


def unlimited_repositories(stack: DeclaredStack) -> list[str]:
    """A warning about the repositories in which no retention rule expires anything."""
    repositories = stack.settings.repositories
    names = [name for name, repository in repositories.items() if not repository.retention]
    where = "every repository" if len(names) == len(repositories) else some_of(names)
    return [f"Every image is kept in {where}: there is no retention rule."] if names else []


def some_of(names: Sequence[str]) -> str:
    """The first few names, and the number of the others."""
    more = f" and {len(names) - _MOST_NAMED} more" if names[_MOST_NAMED:] else ""
    return ", ".join(names[:_MOST_NAMED]) + more


_MOST_NAMED: Final = 5
