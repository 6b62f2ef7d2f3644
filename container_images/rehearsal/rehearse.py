"""One rehearsal: the program on an embedded AWS, ADR040's workflow, and the evidence."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from textwrap import shorten
from time import perf_counter
from typing import Any

import moto
from pulumi import RunError

from container_images.access.claims import alike, prove, table
from container_images.aws.errors import RefusedError, refused
from container_images.lifecycle.document import read_policy
from container_images.policies.document import tag_glob
from container_images.policies.forms import TAG_MUTABILITIES
from container_images.policies.invalid_input import camel
from container_images.rehearsal.embedded_aws import EmbeddedAws, embedded_aws
from container_images.rehearsal.pipeline import ACTS, Pipeline
from container_images.rehearsal.program import Resource, Update, run
from container_images.rehearsal.year import history, outcome
from container_images.settings import StackSettings
from container_images.stack.declared import DeclaredStack
from container_images.stack.state import State, describe, differences, every, intended

Act = dict[str, Any]
"""What was done: `act`, whether it came out as ADR040 asks (`ok`), a `detail`, and `by` whose
behaviour that shows: `moto`'s alone, or also one that this project puts in moto's place
(`simulated`), which is the rule of the exclusion filters, and the lifecycle policy."""


def rehearse(stack: DeclaredStack) -> tuple[dict[str, Any], list[str]]:
    """Run the stack's program on an embedded AWS; then play the workflow and look at the evidence.

    Returns what the command prints in JSON, and a sentence on everything that fails. What the
    embedded AWS refuses is a failed act. Raises RefusedError for what the program refuses.
    """
    start = perf_counter()
    update, states, seconds = Update([], {}), list[State](), 0.0
    with embedded_aws(stack) as aws:
        try:
            with refused():
                began = perf_counter()
                update = run(stack, aws)
                seconds = perf_counter() - began
                states = list(every(aws.ecr))
                acts = [*perform(aws, states, update.resources, stack), *_years(states, stack)]
        except RunError as error:
            raise RefusedError(f"Pulumi.{stack.name}.yaml: {error}") from None
        except RefusedError as error:
            by = "moto" if error.code else "simulated"
            acts = [_act("register", by, str(error), ok=False)]
    groups = alike(
        (state.arn, state.policy, stack.settings.access(state.name, stack.account))
        for state in states
        if state.name in stack.settings.repositories
    )
    proofs = prove(groups) if groups else []
    failures = [f"{act['act']}: {act['detail']}" for act in acts if not act["ok"]]
    failures += [proof.failure for proof in proofs if not proof.proved]
    return {
        "stack": stack.name,
        "cloud": {"name": "moto", "version": moto.__version__},
        "resources": [
            {camel(key): value for key, value in vars(resource).items() if key != "options"}
            for resource in update.resources
        ],
        "outputs": update.outputs,
        "acts": acts,
        "proofs": [proof.to_json() for proof in proofs],
        "access": table(groups),
        "warnings": warnings_about(stack),
        "seconds": {"program": round(seconds, 3), "total": round(perf_counter() - start, 3)},
    }, failures


def warnings_about(stack: DeclaredStack) -> list[str]:
    """What the settings allow and ADR040 would rather not, a sentence each."""
    repositories = stack.settings.repositories
    warnings = [*map(stack.settings.overwriting_warning, TAG_MUTABILITIES)]
    if names := [name for name, repository in repositories.items() if not repository.retention]:
        warnings.append(f"Every image is kept in {_names(names)}: there is no retention rule.")
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


def _names(names: Iterable[str]) -> str:
    return shorten(", ".join(names), 60, placeholder=" and others", break_on_hyphens=False)


def perform(
    aws: EmbeddedAws, states: Sequence[State], resources: Sequence[Resource], stack: DeclaredStack
) -> Iterator[Act]:
    """Play each act. They follow the settings, not what the program has made of them.

    They follow on each other, as in a pipeline, on one repository of each kind: those with the same
    tag mutability behave alike.
    """
    live = {state.name: state for state in states}
    declared = {name: intended(stack, name) for name in stack.settings.repositories}
    yield _played("declared", "moto", [lambda: _compare(declared, live, resources)])
    kinds: dict[tuple[str, tuple[str, ...]], Pipeline] = {}
    for name, state in declared.items():
        if name in live:
            kind = (state.tag_mutability, state.exclusion_filters)
            kinds.setdefault(kind, Pipeline(aws.ecr, state, stack.settings))
    by = "simulated" if any(filters for _, filters in kinds) else "moto"
    for act in ACTS:
        parts = [getattr(pipeline, act) for pipeline in kinds.values()]
        yield _played(act.replace("_", "-"), by, parts)


def _played(name: str, by: str, parts: Sequence[Callable[[], str]]) -> Act:
    """One act in all its parts: what failed, or else what was done."""
    done, failures = list[str](), list[str]()
    for part in parts:
        try:
            with refused():
                done.append(part())
        except RefusedError as error:
            failures.append(str(error))
    return _act(name, by, "; ".join(failures or done), ok=not failures)


def _act(name: str, by: str, detail: str, *, ok: bool) -> Act:
    return {"act": name, "ok": ok, "detail": detail, "by": by}


def _compare(
    declared: Mapping[str, State], live: Mapping[str, State], resources: Sequence[Resource]
) -> str:
    """What the API has, against the settings; and what keeps it from being deleted by Pulumi."""
    if live.keys() != declared.keys():
        raise RefusedError(f"there is {sorted(live)}, and should be {sorted(declared)}")
    for name, state in live.items():
        if text := "; ".join(map(describe, differences(state, declared[name]))):
            raise RefusedError(f"{name} is not as declared: {text}")
    for resource in resources:
        is_repository = resource.type == "aws:ecr/repository:Repository"
        is_kept = resource.retain_on_delete and resource.protect is is_repository
        if resource.type.startswith("aws:ecr/") and not is_kept:
            raise RefusedError(f"{resource.name} ({resource.type}) is not protected and retained")
    return f"all repositories ({len(declared)}) are as the settings say, protected and retained"


def _years(states: Sequence[State], stack: DeclaredStack) -> Iterator[Act]:
    """A year under each lifecycle policy of the stack: what is kept, and what can be pulled."""
    convention, movable = stack.settings.convention, stack.settings.exact_movable_tags
    names: dict[str | None, list[str]] = {}
    for state in states:
        names.setdefault(state.lifecycle_policy, []).append(state.name)
    events = history(convention, movable)
    for policy, repositories in names.items():
        rules = read_policy(policy) if policy else ()
        ok, detail = outcome(rules, events, convention, movable)
        yield _act("year", "simulated", f"{_names(repositories)}: {detail}", ok=ok)
