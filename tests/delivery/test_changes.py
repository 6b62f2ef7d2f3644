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
APP = "aws:ecr/repository:Repository app"


def step(op: str, new: int = 1, urn: str = URN) -> dict[str, Any]:
    return {"op": op, "urn": urn, "oldState": {"inputs": 1}, "newState": {"inputs": new}}


@pytest.mark.parametrize(
    ("change", "expected", "printed"),
    [
        (step("same"), "", ""),
        (step("update"), "", ""),  # of what the provider computes
        (step("update", 2, "urn:pulumi:local::p::pulumi:providers:aws::default"), "", ""),
        (step("update", 2), "", f"unexpected: update {APP}\n"),
        (step("delete"), "", f"unexpected: delete {APP}\n"),
        (step("update", 2), f"update {APP}\n", ""),
        (step("same"), f"update {APP}\n", f"missing: update {APP}\n"),
    ],
)
def test_changes(tmp_path: Path, change: dict[str, Any], expected: str, printed: str) -> None:
    if expected:
        (tmp_path / "0.1.0.changes").write_text(expected)
    done = subprocess.run(
        [sys.executable, str(ROOT / ".ci" / "changes.py"), str(tmp_path / "0.1.0.json")],
        input=json.dumps({"steps": [change]}),
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.stdout, done.returncode) == (printed, bool(printed))


def test_a_state_belongs_to_a_release() -> None:
    changelog = (ROOT / "CHANGELOG.md").read_text()
    for state in (ROOT / "tests" / "upgrade").glob("*.json"):
        assert f"\n## {state.stem}\n" in changelog
