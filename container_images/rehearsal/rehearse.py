"""One rehearsal, from the stack file to the evidence."""

import json
import time
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

import moto
from botocore.exceptions import ClientError
from pydantic.alias_generators import to_camel

from container_images.access.proofs import Proof, Row, alike, prove, table
from container_images.cli.terminal import working
from container_images.lifecycle.document import rules_in
from container_images.rehearsal import program
from container_images.rehearsal.acts import Act, adopt, perform, verified
from container_images.rehearsal.embedded_aws import REFUSALS, EmbeddedAws, embedded_aws
from container_images.rehearsal.report import Report, comment
from container_images.rehearsal.tags import convention_of
from container_images.rehearsal.year import figures, history, live
from container_images.settings.stack_file import StackFile
from container_images.stack.declared import DeclaredStack, declared_in
from container_images.stack.state import State


@dataclass(kw_only=True)
class Rehearsal:
    """What happened, and what it shows."""

    stack: str
    update: program.Update
    acts: list[Act] = field(default_factory=list)
    proofs: list[Proof] = field(default_factory=list)
    access: list[Row] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    """What the settings allow and ADR040 would rather not: a sentence each."""
    year: dict[str, Any] | None = None
    """A year of one repository, in figures; None where only the plan counts."""
    seconds: float = 0.0

    @property
    def ok(self) -> bool:
        """Whether each act came out as it should, and each claim is proved and holds for a year."""
        return all(proof.proved for proof in self.proofs) and not self._failures()

    def _failures(self) -> list[str]:
        """Each act that failed, and each claim that does not hold for a year."""
        year = self.year["claims"] if self.year else ()
        return [
            *(f"{act.act}: {act.detail}" for act in self.acts if not act.ok),
            *(f"after a year: {claim['claim']}" for claim in year if not claim["holds"]),
        ]

    def to_markdown(self) -> str:
        """For a comment on a pull request: the claims, and who can do what."""
        return comment(self.stack, self.proofs, self.access, self._failures(), self.warnings)

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
            **({"year": self.year} if self.year else {}),
            "warnings": self.warnings,
            "seconds": {"program": round(self.update.seconds, 3), "total": round(self.seconds, 3)},
        }


def _camel(record: Act | Row | program.Resource, *without: str) -> dict[str, Any]:
    return {to_camel(key): it for key, it in asdict(record).items() if key not in without}


def rehearse(stack: StackFile, report: Report, *, plan_only: bool = False) -> Rehearsal:
    """Run the stack's program on an embedded AWS; then act and prove, unless only the plan counts.

    The report is told everything as it happens. Raises StackFileError and pulumi.RunError for a
    stack that is not as it should be.
    """
    start = time.perf_counter()
    with embedded_aws(stack) as aws:
        rehearsal = _registered(stack, report, aws)
        act_and_prove = rehearsal.ok and not plan_only
        if rehearsal.ok:
            declared = declared_in(stack, aws.account)
            configured = declared.settings
            rehearsal.warnings = [*filter(None, [configured.overwriting_warning()])]
            report.warned(rehearsal.warnings)
        if act_and_prove:
            found = list(aws.repositories())
            report.heading("ADR040 acted out")
            _act(rehearsal, perform(aws, rehearsal.update, found, declared), report)
            _act(rehearsal, [verified(declared, aws)], report)
    if act_and_prove:
        _act(rehearsal, [adopt(stack, declared)], report)
        report.explain(rehearsal.acts)
        _prove(rehearsal, declared, found, report)
    rehearsal.seconds = time.perf_counter() - start
    report.over(stack.stack, ok=rehearsal.ok, seconds=rehearsal.seconds)
    return rehearsal


def _registered(stack: StackFile, report: Report, aws: EmbeddedAws) -> Rehearsal:
    """The program has run. Where the embedded AWS refuses something, that is a failed act."""
    with working("Registering"):
        try:
            update = program.run(stack, aws)
        except REFUSALS as error:
            update = program.Update(resources=[], outputs={}, seconds=0.0)
            refused = Act(
                act="register",
                ok=False,
                detail=str(error),
                by="moto" if isinstance(error, ClientError) else "simulated",
            )
            report.acted(refused)
            return Rehearsal(stack=stack.stack, update=update, acts=[refused])
    report.registered(stack.stack, update)
    return Rehearsal(stack=stack.stack, update=update)


def _act(rehearsal: Rehearsal, acts: Iterable[Act], report: Report) -> None:
    for act in acts:
        rehearsal.acts.append(act)
        report.acted(act)


def _prove(
    rehearsal: Rehearsal, declared: DeclaredStack, found: Sequence[State], report: Report
) -> None:
    configured = declared.settings
    groups = alike(
        (it.arn, it.policy, declared.settings.access(it.name, declared.account))
        for it in found
        if it.name in configured.repositories
    )
    rehearsal.proofs = prove(groups)
    report.proved(rehearsal.proofs)
    rehearsal.access = table(groups)
    report.accessible(rehearsal.access)
    first = found[0]
    convention, movable = convention_of(configured, first.name), configured.movable_tags
    rules = rules_in(json.loads(first.lifecycle_policy)) if first.lifecycle_policy else ()
    year = live(rules, history(convention, movable), convention, movable)
    rehearsal.year = {"repository": first.name, **figures(year)}
    report.lived(first.name, year)
