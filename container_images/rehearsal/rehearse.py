"""One rehearsal: the program on an embedded AWS, ADR040's workflow, and the evidence."""

import time
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from functools import partial
from textwrap import shorten
from typing import Any, Final, Literal

import moto
from botocore.exceptions import ClientError
from pulumi import RunError
from pydantic.alias_generators import to_camel

from container_images.access.claims import Proof, Row, alike, prove, table
from container_images.aws.errors import RefusedError
from container_images.lifecycle.document import read_policy
from container_images.policies.patterns import tag_glob
from container_images.rehearsal import program
from container_images.rehearsal.embedded_aws import REFUSALS, EmbeddedAws, embedded_aws
from container_images.rehearsal.pipeline import FailedError, Pipeline
from container_images.rehearsal.year import broken_claims, claims, history, live
from container_images.settings import StackSettings
from container_images.stack.declared import DeclaredStack
from container_images.stack.differences import describe, differences
from container_images.stack.state import State, every, intended


@dataclass(frozen=True, kw_only=True)
class Act:
    """What was done, and whether it came out as ADR040 asks."""

    act: str
    ok: bool
    detail: str
    by: Literal["moto", "simulated"] = "moto"
    """Whose behaviour it shows: moto's alone, or also one that this project puts in moto's place,
    which is the rule of the exclusion filters, and the lifecycle policy."""


@dataclass(kw_only=True)
class Rehearsal:
    """What happened, and what it shows."""

    stack: str
    resources: Sequence[program.Resource] = ()
    outputs: dict[str, Any] = field(default_factory=dict)
    acts: Sequence[Act] = ()
    proofs: Sequence[Proof] = ()
    access: Sequence[Row] = ()
    warnings: Sequence[str] = ()
    """What the settings allow and ADR040 would rather not: a sentence each."""
    program_seconds: float = 0.0
    seconds: float = 0.0

    @property
    def ok(self) -> bool:
        """Whether each act came out as it should, and each claim holds."""
        return all(act.ok for act in self.acts) and all(proof.proved for proof in self.proofs)

    def to_json(self) -> dict[str, Any]:
        """For machines."""
        return {
            "stack": self.stack,
            "cloud": {"name": "moto", "version": moto.__version__},
            "resources": [_camel(each, "import_id", "depends_on") for each in self.resources],
            "outputs": self.outputs,
            "acts": [_camel(act) for act in self.acts],
            "proofs": [proof.to_json() for proof in self.proofs],
            "access": list(self.access),
            "warnings": list(self.warnings),
            "seconds": {"program": self.program_seconds, "total": self.seconds},
        }


def _camel(record: Act | program.Resource, *without: str) -> dict[str, Any]:
    fields = asdict(record).items()
    return {to_camel(key): value for key, value in fields if key not in without}


def rehearse(stack: DeclaredStack) -> Rehearsal:
    """Run the stack's program on an embedded AWS; then play the workflow and look at the evidence.

    What the embedded AWS refuses is a failed act. Raises RefusedError for what the program refuses.
    """
    start = time.perf_counter()
    rehearsal = Rehearsal(stack=stack.name, warnings=warnings_about(stack))
    with embedded_aws(stack) as aws:
        try:
            update = program.run(stack, aws)
        except RunError as error:
            raise RefusedError(f"Pulumi.{stack.name}.yaml: {error}") from None
        except REFUSALS as error:
            by: Literal["moto", "simulated"]
            by = "moto" if isinstance(error, ClientError) else "simulated"
            rehearsal.acts = [Act(act="register", ok=False, detail=str(error), by=by)]
            return rehearsal
        states = list(every(aws.ecr))
        acts = perform(aws, states, update.resources, stack)
        rehearsal.acts = [*acts, *_years(states, stack)]
    groups = alike(
        (state.arn, state.policy, stack.settings.access(state.name, stack.account))
        for state in states
        if state.name in stack.settings.repositories
    )
    rehearsal.proofs, rehearsal.access = prove(groups), table(groups)
    rehearsal.resources, rehearsal.outputs = update.resources, update.outputs
    rehearsal.program_seconds = round(update.seconds, 3)
    rehearsal.seconds = round(time.perf_counter() - start, 3)
    return rehearsal


def warnings_about(stack: DeclaredStack) -> list[str]:
    """What the settings allow and ADR040 would rather not, a sentence each."""
    repositories = stack.settings.repositories
    warnings = [stack.settings.overwriting_warning()]
    modes = {name: repository.tag_mutability for name, repository in repositories.items()}
    if names := [name for name, mode in modes.items() if mode == "MUTABLE_WITH_EXCLUSION"]:
        warnings.append(
            "Tags that no immutableTags pattern matches, such as scratch, can be overwritten in "
            f"{_where(names, modes)}: with IMMUTABLE_WITH_EXCLUSION only the movableTags could be."
        )
    if names := [name for name, repository in repositories.items() if not repository.retention]:
        where = _where(names, modes)
        warnings.append(f"Every image is kept in {where}: there is no retention rule.")
    warnings += _rules_that_take_releases(stack.settings)
    return [warning for warning in warnings if warning]


def _rules_that_take_releases(settings: StackSettings) -> Iterator[str]:
    """A warning about each rule of candidates: an image keeps their tags when it is released."""
    release = list(settings.convention.stages.values())[-1]
    version = release.template.replace("{semver}", "1.2.3")
    candidate = release.template.replace("{semver}", "1.2.3-rc.1")
    rules = [rule for each in settings.repositories.values() for rule in each.retention]
    for tags in dict.fromkeys(rule.get("tags", "") for rule in rules):
        if tag_glob(tags, candidate) and not tag_glob(tags, version):
            yield (
                f"The retention rule of {tags} may take releases: one image has {version} and "
                f"{candidate}, if it was promoted. Begin candidates' tags otherwise, as with rc-."
            )


def _where(names: Collection[str], everything: Collection[object]) -> str:
    if len(names) == len(everything):
        return "every repository"
    return shorten(", ".join(names), _MOST_CHARACTERS, placeholder=" and others")


_MOST_CHARACTERS: Final = 60


# --- ADR040's workflow ----------------------------------------------------------------------------

_ACTS: Final[dict[str, Callable[[Pipeline], str]]] = {
    "push-builds": Pipeline.push_builds,
    "move-latest": Pipeline.move_latest,
    "refuse-overwriting": Pipeline.refuse_overwriting,
    "move-latest-back": partial(Pipeline.move_latest, back=True),
    "promote": Pipeline.promote,
    "refuse-backwards": Pipeline.refuse_backwards,
    "roll-back": Pipeline.roll_back,
    "resolve": Pipeline.resolve,
}


def perform(
    aws: EmbeddedAws,
    states: Sequence[State],
    resources: Sequence[program.Resource],
    stack: DeclaredStack,
) -> Iterator[Act]:
    """Play each act. They follow the settings, not what the program has made of them.

    They follow on each other, as in a pipeline, on one repository of each kind: those with the same
    tag mutability behave alike.
    """
    live = {state.name: state for state in states}
    declared = {name: intended(stack, name) for name in stack.settings.repositories}
    checks = [partial(_compare, declared, live), partial(_check_options, resources)]
    yield _played("declared", checks)
    ecr = aws.client("ecr", stack.settings.pipeline_roles_in(stack.account)[0])
    kinds: dict[tuple[str, tuple[str, ...]], Pipeline] = {}
    for name, state in declared.items():
        if name in live:
            kind = (state.tag_mutability, state.exclusion_filters)
            kinds.setdefault(kind, Pipeline(ecr, state, stack.settings))
    simulated = any(filters for _, filters in kinds)
    for name, play in _ACTS.items():
        act = _played(name, [partial(play, pipeline) for pipeline in kinds.values()])
        yield replace(act, by="simulated") if simulated else act


def _played(name: str, parts: Sequence[Callable[[], str]]) -> Act:
    """One act in all its parts: what failed, or else what was done."""
    done, failures = list[str](), list[str]()
    for part in parts:
        try:
            done.append(part())
        except (FailedError, RefusedError, *REFUSALS) as error:
            failures.append(str(error))
    return Act(act=name, ok=not failures, detail="; ".join(failures or done))


def _compare(declared: Mapping[str, State], live: Mapping[str, State]) -> str:
    """What the API has, against what the settings say."""
    if live.keys() != declared.keys():
        raise FailedError(f"there is {sorted(live)}, and should be {sorted(declared)}")
    for name, state in live.items():
        differing = "; ".join(map(describe, differences(state, declared[name])))
        if differing or state.arn != declared[name].arn:
            raise FailedError(f"{state.arn} is not {declared[name].arn} as declared: {differing}")
    return f"all repositories ({len(declared)}) are as the settings say"


_PROTECT_AND_RETAIN: Final = {
    "aws:ecr/repository:Repository": (True, True),
    "aws:ecr/lifecyclePolicy:LifecyclePolicy": (False, True),
    "aws:ecr/repositoryPolicy:RepositoryPolicy": (False, True),
}


def _check_options(resources: Sequence[program.Resource]) -> str:
    """Pulumi's options that keep images and guard from being deleted; AWS does not know them."""
    for resource in resources:
        options = _PROTECT_AND_RETAIN.get(resource.type, (False, False))
        if (resource.protect, resource.retain_on_delete) != options:
            raise FailedError(f"{resource.name} ({resource.type}) is not protected and retained")
    return "protected and retained"


def _years(states: Sequence[State], stack: DeclaredStack) -> Iterator[Act]:
    """A year under each lifecycle policy of the stack: what is kept, and what can be pulled."""
    convention, movable = stack.settings.convention, stack.settings.exact_movable_tags
    names: dict[str | None, list[str]] = {}
    for state in states:
        names.setdefault(state.lifecycle_policy, []).append(state.name)
    events = history(convention, movable)
    for policy, repositories in names.items():
        rules = read_policy(policy) if policy else ()
        year, claimed = live(rules, events), claims(rules, events, convention, movable)
        broken = list(broken_claims(year, claimed))
        what = "; ".join(broken) or f"can be pulled: {', '.join(claimed)}"
        detail = f"{_where(repositories, states)}: {year}; {what}"
        yield Act(act="year", ok=not broken, detail=detail, by="simulated")
