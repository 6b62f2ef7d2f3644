"""The rehearsal of the production stack, once for all tests that look at it."""

import contextlib
import io
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Final

import pytest
from click.testing import CliRunner, Result
from moto.ecr.models import ECRBackend
from ruamel.yaml import YAML

from container_images.cli.app import app
from container_images.rehearsal.moto_fixes import TAG_CHECK
from container_images.rehearsal.rehearse import Rehearsal, rehearse
from container_images.rehearsal.report import print_rehearsal
from container_images.settings.stack_file import StackFile, read
from container_images.tags import moves
from tests.conftest import FIXTURES, ROOT

_TAG_CHECK_OF_MOTO: Final = getattr(ECRBackend, TAG_CHECK)


@pytest.fixture(autouse=True)
def moto_is_as_it_came() -> None:
    """Otherwise a test before this one has left something in it."""
    assert getattr(ECRBackend, TAG_CHECK) is _TAG_CHECK_OF_MOTO


@pytest.fixture(autouse=True)
def _nothing_is_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    """Moto is not late: a put that it does not show has not been done."""
    monkeypatch.setattr(moves, "sleep", lambda _: None)


@dataclass
class Rehearsed:
    """A rehearsal, and what is printed of it."""

    rehearsal: Rehearsal

    @cached_property
    def text(self) -> str:
        return self.printed(verbose=False)

    def printed(self, *, verbose: bool) -> str:
        out = io.StringIO()
        with contextlib.redirect_stdout(out):
            print_rehearsal(self.rehearsal, verbose=verbose)
        return out.getvalue()

    @cached_property
    def json(self) -> dict[str, Any]:
        return self.rehearsal.to_json()


def rehearsed(project: Path, stack: str) -> Rehearsed:
    return Rehearsed(rehearse(read(project, stack)))


@pytest.fixture(scope="session")
def prod_rehearsed(prod: StackFile) -> Rehearsed:
    return Rehearsed(rehearse(prod))


def command(project: Path, *args: str) -> Result:
    """The command with its options, in this process."""
    with contextlib.chdir(project):
        return CliRunner().invoke(app, ["rehearse", *args], catch_exceptions=False)


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """The project's own program and settings, in a place where stack files can be written."""
    for file in (ROOT / "Pulumi.yaml", FIXTURES / "Pulumi.prod.yaml", ROOT / "__main__.py"):
        shutil.copy(file, tmp_path)
    return tmp_path


Write = Callable[..., None]


@pytest.fixture
def write(project: Path) -> Write:
    """Writes the production stack under another name, with other values; None removes a key.

    Without the audit, which half of the resources are part of.
    """

    def write(stack: str, **changes: Any) -> None:
        contents = YAML(typ="safe", pure=True).load((FIXTURES / "Pulumi.prod.yaml").read_text())
        for key, value in {"audit": None, **changes}.items():
            contents["config"].pop(f"container-images:{key}", None)
            if value is not None:
                contents["config"][f"container-images:{key}"] = value
        YAML().dump(contents, project / f"Pulumi.{stack}.yaml")

    return write
