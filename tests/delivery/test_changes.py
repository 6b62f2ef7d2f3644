"""What an upgrade may change: .ci/changes.py, which .ci/engine runs on each earlier state."""

import io
import json
import runpy
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import ROOT

SCRIPT = str(ROOT / ".ci" / "changes.py")
TYPE = "aws:ecr/repository:Repository"
APP = f"{TYPE} app"


def step(op: str, new: int = 1, type_: str = TYPE) -> dict[str, Any]:
    urn = f"urn:pulumi:local::p::container-images:index:ImageRepository${type_}::app"
    return {"op": op, "urn": urn, "oldState": {"inputs": 1}, "newState": {"inputs": new}}


def test_changes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", [SCRIPT, str(tmp_path / "0.1.0.json")])
    for change, announced, printed in (
        (step("update"), "", ""),  # of what the provider computes
        (step("update", 2, "pulumi:providers:aws"), "", ""),
        (step("update", 2), "", f"unexpected: update {APP}\n"),
        (step("update", 2), f"update {APP}\n", ""),
        (step("same"), f"update {APP}\n", f"missing: update {APP}\n"),
    ):
        (tmp_path / "0.1.0.changes").write_text(announced)
        monkeypatch.setattr(sys, "stdin", io.StringIO(json.dumps({"steps": [change]})))
        with pytest.raises(SystemExit) as ended:
            runpy.run_path(SCRIPT, run_name="__main__")
        assert (capsys.readouterr().out, ended.value.code) == (printed, bool(printed))


def test_a_state_belongs_to_a_release() -> None:
    changelog = (ROOT / "CHANGELOG.md").read_text()
    for state in (ROOT / "tests" / "upgrade").glob("*.json"):
        assert f"\n## {state.stem}\n" in changelog
