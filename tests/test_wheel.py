"""The package as a team has it: installed from a wheel, outside the project's folder."""

import json
import os
import subprocess
import sys
import sysconfig
import venv
import zipfile
from pathlib import Path

import pytest

from container_images.cli.app import COMMANDS
from container_images.rehearsal import program
from container_images.rehearsal.embedded_aws import embedded_aws
from container_images.rehearsal.rehearse import Rehearsal
from container_images.settings.stack_file import read
from container_images.stack.declared import declared_in
from tests.conftest import ROOT

PACKAGE = ROOT / "container_images"


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    build = [sys.executable, "-m", "hatchling", "build", "--target", "wheel", "--directory"]
    subprocess.run([*build, str(folder)], cwd=ROOT, check=True, capture_output=True)
    [file] = folder.glob("*.whl")
    return file


def test_the_wheel_has_one_package_at_its_top(wheel: Path) -> None:
    names = zipfile.ZipFile(wheel).namelist()
    top = {name.split("/")[0] for name in names}
    assert {name for name in top if not name.endswith(".dist-info")} == {"container_images"}
    expected = {
        f"container_images/{file.relative_to(root)}"
        for root, folder in ((ROOT, ROOT / "components"), (PACKAGE, PACKAGE))
        for file in folder.rglob("*")
        if file.is_file() and "__pycache__" not in file.parts
    }
    assert {name for name in names if ".dist-info/" not in name} == expected


def installed(wheel: Path, folder: Path) -> str:
    """Python of an environment with the wheel. What it depends on is that of the tests."""
    venv.create(folder, with_pip=False)
    python = str(folder / "bin" / "python")
    uv = [str(Path(sysconfig.get_path("scripts")) / "uv"), "pip", "install", "--quiet", "--offline"]
    subprocess.run([*uv, "--no-deps", "--python", python, str(wheel)], check=True)
    [packages] = (folder / "lib").glob("python*/site-packages")
    (packages / "dependencies.pth").write_text(sysconfig.get_path("purelib") + "\n")
    return python


AT_A_TEAM = """
import os, sys
from click.testing import CliRunner
from container_images.cli.app import app

names, team = sys.argv[1:-1], sys.argv[-1]
for name in names:
    result = CliRunner().invoke(app, [name, "--help"])
    assert result.exit_code == 0 and "Usage: " in result.stdout, (name, result)
os.chdir(team)
app(["rehearse", "--stack", "prod", "--json"])
"""


def test_a_team_has_every_commands_help_and_rehearses_the_template(
    wheel: Path, tmp_path: Path
) -> None:
    """As `pulumi new` leaves it, and with a module of the team's own, outside of any clone.

    In one process: each would load its libraries anew. It begins in a folder whose modules have
    the names of the package's.
    """
    folder, team = tmp_path / "folder", tmp_path / "team"
    folder.mkdir()
    for name in ("policies", "settings", "components", "cli", "aws"):
        (folder / f"{name}.py").write_text("raise ImportError('this is not the package')\n")
    team.mkdir()
    for file in (ROOT / "template").iterdir():
        if file.is_file():
            text = file.read_text().replace("${PROJECT}", "ours").replace("${DESCRIPTION}", "x")
            # A key with the project's own name as its namespace is one without a namespace.
            text = text.replace("  tagMutability:", "  ours:tagMutability:")
            (team / file.name).write_text(text)
    main = (team / "__main__.py").read_text()
    (team / "__main__.py").write_text(f"{main}\nimport team_module\n")
    (team / "team_module.py").write_text("")
    done = subprocess.run(
        [installed(wheel, tmp_path / "environment"), "-I", "-c", AT_A_TEAM, *COMMANDS, str(team)],
        cwd=folder,
        env={key: text for key, text in os.environ.items() if key != "PYTHONPATH"},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
    rehearsal = json.loads(done.stdout)
    assert all(act["ok"] for act in rehearsal["acts"])
    starter = read(ROOT, "starter")
    with embedded_aws(declared_in(starter, starter.account)) as aws:
        ours = Rehearsal(stack="prod", resources=program.run(starter, aws).resources)
    assert rehearsal["resources"] == ours.to_json()["resources"]
