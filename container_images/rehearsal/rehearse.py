"""One rehearsal, from the stack file to the evidence."""

import json
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

import moto
from botocore.exceptions import ClientError
from pydantic.alias_generators import to_camel

from container_images.lifecycle.document import rules_in
from container_images.rehearsal import program
from container_images.rehearsal.acts import (
    Act,
    open_tags,
    perform,
    some_of,
    unlimited_repositories,
)
from container_images.rehearsal.embedded_aws import REFUSALS, EmbeddedAws, embedded_aws
from container_images.rehearsal.evidence import Proof, Row, evidence
from container_images.rehearsal.year import broken_claims, claims, history, kept, live
from container_images.settings.stack_file import StackFile
from container_images.stack.declared import DeclaredStack, declared_in
from container_images.stack.state import State


@dataclass(kw_only=True)
class Rehearsal:
    """What happened, and what it shows."""

    stack: str
    update: program.Update
    acts: list[Act] = field(default_factory=list)
    proofs: Sequence[Proof] = ()
    access: Sequence[Row] = ()
    warnings: Sequence[str] = ()
    """What the settings allow and ADR040 would rather not: a sentence each."""
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
            "resources": [_camel(it, "import_id", "depends_on") for it in self.update.resources],
            "outputs": self.update.outputs,
            "acts": [_camel(act) for act in self.acts],
            "proofs": [proof.to_json() for proof in self.proofs],
            "access": [_camel(row) for row in self.access],
            "warnings": list(self.warnings),
            "seconds": {"program": round(self.update.seconds, 3), "total": round(self.seconds, 3)},
        }


def _camel(record: Act | Row | program.Resource, *without: str) -> dict[str, Any]:
    fields = asdict(record).items()
    return {to_camel(key): value for key, value in fields if key not in without}


def rehearse(file: StackFile) -> Rehearsal:
    """Run the stack's program on an embedded AWS; then play the workflow and look at the evidence.

    Raises StackFileError and pulumi.RunError for a stack that is not as it should be.
    """
    start = time.perf_counter()
    with embedded_aws(file) as aws:
        rehearsal = _registered(file, aws)
        if rehearsal.ok:
            stack = declared_in(file, aws.account)
            rehearsal.warnings = open_tags(stack) + unlimited_repositories(stack)
            states = list(aws.repositories())
            rehearsal.acts += perform(aws, rehearsal.update, stack)
            rehearsal.proofs, rehearsal.access = evidence(states, stack)
            rehearsal.acts += _years(states, stack)
    rehearsal.seconds = time.perf_counter() - start
    return rehearsal


def _registered(file: StackFile, aws: EmbeddedAws) -> Rehearsal:
    """The program has run. Where the embedded AWS refuses something, that is a failed act."""
    try:
        return Rehearsal(stack=file.stack, update=program.run(file, aws))
    except REFUSALS as error:
        update = program.Update(resources=[], outputs={}, seconds=0.0)
        by_moto = isinstance(error, ClientError)
        refused = Act(
            act="register", ok=False, detail=str(error), by="moto" if by_moto else "simulated"
        )
        return Rehearsal(stack=file.stack, update=update, acts=[refused])


def _years(states: Sequence[State], stack: DeclaredStack) -> Iterator[Act]:
    """A year under each lifecycle policy of the stack: what is kept, and what can be pulled."""
    convention, movable = stack.settings.convention, stack.settings.movable_tags
    names: dict[str | None, list[str]] = {}
    for state in states:
        names.setdefault(state.lifecycle_policy, []).append(state.name)
    events = history(convention, movable)
    for policy, alike in names.items():
        year = live(rules_in(json.loads(policy)) if policy else (), events)
        broken = broken_claims(year, convention, movable)
        pulled = ", ".join(what for what, _ in claims(year, convention, movable))
        of_some = f"{some_of(alike)}: " if names.keys() - {policy} else ""
        detail = f"{of_some}{kept(year)}; " + ("; ".join(broken) or f"can be pulled: {pulled}")
        yield Act(act="year", ok=not broken, detail=detail, by="simulated")
