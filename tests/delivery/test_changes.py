"""What an upgrade may change: .ci/changes.py, which .ci/engine runs on each earlier state."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import ROOT

URN = (
    "urn:pulumi:local::container-images::"
    "container-images:index:ImageRepository$aws:ecr/repository:Repository::app"
)
UPDATE = "update aws:ecr/repository:Repository app"


def step(op: str, *, old: Any = None, new: Any = None, urn: str = URN) -> dict[str, Any]:
    return {"op": op, "urn": urn, "oldState": {"inputs": old}, "newState": {"inputs": new}}


@pytest.mark.parametrize(
    ("steps", "expected", "printed"),
    [
        ([step("same")], None, ""),
        ([step("update", old={"a": 1}, new={"a": 1})], None, ""),
        ([step("update", urn="urn:pulumi:local::p::pulumi:providers:aws::default")], None, ""),
        ([step("update", old={"a": 1}, new={"a": 2})], None, f"unexpected: {UPDATE}\n"),
        ([step("delete")], None, "unexpected: delete aws:ecr/repository:Repository app\n"),
        ([step("update", old={"a": 1}, new={"a": 2})], UPDATE, ""),
        ([step("same")], UPDATE, f"missing: {UPDATE}\n"),
    ],
    ids=["same", "computed", "provider", "changed", "deleted", "announced", "announced in vain"],
)
def test_changes(
    tmp_path: Path, steps: list[dict[str, Any]], expected: str | None, printed: str
) -> None:
    if expected:
        (tmp_path / "0.1.0.changes").write_text(f"{expected}\n")
    done = subprocess.run(
        [sys.executable, str(ROOT / ".ci" / "changes.py"), str(tmp_path / "0.1.0.json")],
        input=json.dumps({"steps": steps}),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stdout == printed
    assert done.returncode == bool(printed)


def test_a_state_belongs_to_a_release() -> None:
    changelog = (ROOT / "CHANGELOG.md").read_text()
    for state in (ROOT / "tests" / "upgrade").glob("*.json"):
        assert f"\n## {state.stem}\n" in changelog
