"""The solver: it gives up in time, and says so; and nobody else knows the libraries behind it."""

import importlib.metadata
import json
from pathlib import Path

import pytest
import z3
from iamprover import model
from iamprover.engine.conditions import encode_conditions
from iamprover.engine.context import Context

from container_images.access import solver
from container_images.access.evaluation import Principal, Request, may, question
from container_images.access.policy import NO_POLICY, NotModelledError, parse
from container_images.access.proofs import Claim, alike, prove, table
from container_images.policies.repository_policy import Access, repository_policy
from tests.access.accounts import (
    ACCOUNT,
    IAM,
    REPOSITORY,
    Document,
    allow,
    deny,
    policy,
)
from tests.conftest import ROOT
from tests.test_layers import imports

PUSH = Request(action="ecr:PutImage", resource=REPOSITORY, account=ACCOUNT, policy=NO_POLICY)


def tagged(operator: str, pattern: str) -> Document:
    return {"Condition": {operator: {"aws:PrincipalTag/t": pattern}}}


# Nobody meets all of these, and to find that out takes the solver a million steps.
HARD = [
    deny("ecr:*", **tagged("StringLike", "*a*")),
    *(
        deny("ecr:*", **tagged("StringNotLike", f"*{'ab'[number % 2]}{'?' * (40 + number)}"))
        for number in range(6)
    ),
]


def somebody(*statements: Document) -> Principal:
    arn = f"{IAM}role/x"
    policies = (parse(policy(*statements)),)
    return Principal(arn=arn, account=ACCOUNT, named=arn, policies=policies)


@pytest.fixture
def few_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(solver, "STEPS", 20_000)
    monkeypatch.setattr(solver, "NAMING_STEPS", 1)
    solver.possible.cache_clear()
    solver.witness.cache_clear()


class TestWhatIsTooHard:
    @pytest.mark.usefixtures("few_steps")
    def test_counts_as_an_ability(self) -> None:
        assert may(somebody(allow("*"), *HARD), PUSH)
        assert not may(somebody(allow("*"), *HARD, deny("*")), PUSH)

    @pytest.mark.usefixtures("few_steps")
    @pytest.mark.parametrize("steps", [100, 20_000, 100_000])
    def test_has_no_witness_and_is_not_said_to_have_none(
        self, steps: int, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(solver, "STEPS", steps)
        asked = (question(somebody(allow("*"), *HARD), PUSH),)
        with pytest.raises(NotModelledError, match=f"gave up after {steps:,} steps"):
            solver.witness(asked, "arn:aws:iam::", ACCOUNT)

    @pytest.mark.usefixtures("few_steps")
    def test_is_not_proved(self, access: Access) -> None:
        guard = repository_policy(access)
        hard = [{**it, "Principal": "*"} for it in HARD]
        for it in hard:
            del it["Resource"]
        guard["Statement"] = [*guard["Statement"][1:], *hard]
        groups = alike([(REPOSITORY, json.dumps(guard), access)])
        [moved] = prove(groups, [Claim.MOVED])
        assert (moved.proved, moved.counterexample) == (False, None)
        assert moved.not_modelled == "the solver gave up after 20,000 steps"
        rows = {it.principal: it for it in table(groups)}
        assert rows["anybody else in the account"].move_tags

    def test_stops_where_z3_says_that_there_is_no_solution(self) -> None:
        """If this fails, Z3 tells the truth now, and `_answer` need not count."""
        asked = z3.Solver()
        asked.set("rlimit", 100_000)
        _, terms = solver._stated(question(somebody(allow("*"), *HARD), PUSH), denied=False)
        asked.add(*terms)
        before = solver._steps_taken(asked)
        assert asked.check() == z3.unsat
        assert solver._steps_taken(asked) - before == 100_000


class TestNames:
    def proof(self, access: Access) -> str:
        [moved] = prove(alike([(REPOSITORY, None, access)]), [Claim.MOVED])
        assert moved.counterexample is not None
        return moved.counterexample.principal

    def test_are_those_of_a_role_where_one_will_do(self, access: Access) -> None:
        assert self.proof(access) == f"{IAM}role/anybody"

    def test_need_not_be_readable(self, access: Access, monkeypatch: pytest.MonkeyPatch) -> None:
        readable = self.proof(access)
        monkeypatch.setattr(solver, "NAMING_STEPS", 1)
        solver.witness.cache_clear()
        name = self.proof(access)
        solver.witness.cache_clear()
        assert name.startswith(IAM)
        assert name != readable


class TestTheLibraries:
    def test_are_known_to_one_module(self) -> None:
        knowing = [
            str(file.relative_to(ROOT))
            for folder in ("components", "container_images")
            for file in sorted((ROOT / folder).rglob("*.py"))
            if knows_a_library(file)
        ]
        assert knowing == ["container_images/access/solver.py"]

    def test_knowing_one_is_noticed(self, tmp_path: Path) -> None:
        file = tmp_path / "it.py"
        file.write_text("def late() -> None:\n    from iamprover import model\n")
        assert knows_a_library(file)

    def test_are_of_the_version_whose_internals_are_known(self) -> None:
        """When this fails, read what iamprover changed in engine/ before changing the number."""
        assert importlib.metadata.version("iamprover") == "0.7.1"

    def test_an_operator_that_is_not_known_has_the_effect_that_is_asked_for(self) -> None:
        unknown = [model.Condition("NumericLessThan", "aws:EpochTime", ["7"])]
        for default in (True, False):
            term = encode_conditions(unknown, Context(), unknown_default=default)
            assert z3.is_true(z3.simplify(term)) is default

    def test_a_key_is_one_variable_in_any_case(self) -> None:
        context = Context("it:")
        assert context.string("aws:PrincipalArn").eq(context.string("AWS:principalarn"))
        assert not context.string("a").eq(Context("other:").string("a"))


def knows_a_library(file: Path) -> bool:
    return bool({it.partition(".")[0] for it in imports(file)} & {"z3", "iamprover"})
