"""The rehearsal of the production stack, once for all tests that look at it."""

import contextlib
import io
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import pytest
from click.testing import CliRunner, Result
from moto.ecr.models import ECRBackend
from rich.console import Console
from ruamel.yaml import YAML

from container_images.cli import rehearse as cli
from container_images.rehearsal.moto_fixes import TAG_CHECK
from container_images.rehearsal.rehearse import Rehearsal, rehearse
from container_images.rehearsal.report import Report
from container_images.settings.stack_file import read
from container_images.tags import moves
from tests.conftest import ROOT

_TAG_CHECK_OF_MOTO: Final = getattr(ECRBackend, TAG_CHECK)


@pytest.fixture(autouse=True)
def moto_is_as_it_came() -> None:
    """Otherwise a test before this one has left something in it."""
    assert getattr(ECRBackend, TAG_CHECK) is _TAG_CHECK_OF_MOTO


@pytest.fixture(autouse=True)
def _nothing_is_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    """Moto is not late: a put that it does not show has not been done."""
    monkeypatch.setattr(moves, "sleep", lambda _: None)


@dataclass(frozen=True)
class Told:
    """A rehearsal, and what it says to people."""

    rehearsal: Rehearsal
    text: str

    @property
    def json(self) -> dict[str, Any]:
        return self.rehearsal.to_json()


def told(project: Path, stack: str, *, plan_only: bool = False) -> Told:
    """Rehearse a stack, as the command does, in 80 columns and without colour."""
    out = io.StringIO()
    report = Report(Console(file=out, width=80))
    return Told(rehearse(read(project, stack), report, plan_only=plan_only), out.getvalue())


@pytest.fixture(scope="session")
def prod_told() -> Told:
    return told(ROOT, "prod")


def command(project: Path, *args: str) -> Result:
    """The command with its options, in this process."""
    with contextlib.chdir(project):
        return CliRunner().invoke(cli.app, ["rehearse", *args], catch_exceptions=False)


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """The project's own program and settings, in a place where stack files can be written."""
    for name in ("Pulumi.yaml", "Pulumi.prod.yaml", "__main__.py"):
        shutil.copy(ROOT / name, tmp_path)
    return tmp_path


Write = Callable[..., None]


@pytest.fixture
def write(project: Path) -> Write:
    """Writes the production stack under another name, with other values; None removes a key.

    Without the audit, which half of the resources are part of.
    """

    def write(stack: str, **changes: Any) -> None:
        contents = YAML(typ="safe", pure=True).load((ROOT / "Pulumi.prod.yaml").read_text())
        for key, value in {"audit": None, **changes}.items():
            contents["config"].pop(f"container-images:{key}", None)
            if value is not None:
                contents["config"][f"container-images:{key}"] = value
        YAML().dump(contents, project / f"Pulumi.{stack}.yaml")

    return write
