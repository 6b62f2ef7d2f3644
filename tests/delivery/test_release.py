"""A release: one version everywhere, what its workflow builds, and what that does at a team's."""

import io
import json
import re
import runpy
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

from container_images.rehearsal import program
from container_images.rehearsal.embedded_aws import embedded_aws
from container_images.stack.declared import declared
from tests.conftest import ROOT
from tests.delivery.shell import run

VERSION = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
WHEEL = f"container_images-{VERSION}-py3-none-any.whl"
CHANGELOG = (ROOT / "CHANGELOG.md").read_text()
TEMPLATE = ROOT / "template"
CALLERS = sorted((TEMPLATE / ".github" / "workflows").glob("*.yml"))
WORKFLOWS = ROOT / ".github" / "workflows"


@pytest.fixture(scope="module")
def dist(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder with all that a release has."""
    folder = tmp_path_factory.mktemp("dist")
    done = run(".ci/release", f"v{VERSION}", str(folder), PYTHON=sys.executable)
    assert done.returncode == 0, done.stderr
    return folder


def test_a_release_has_packages_hashes_and_notes(dist: Path) -> None:
    assert re.findall(r"^## (.+)$", CHANGELOG, re.MULTILINE)[0] == VERSION
    packages = [WHEEL, f"container_images-{VERSION}.tar.gz"]
    assert {file.name for file in dist.iterdir()} == {*packages, "SHA256SUMS", "NOTES.md"}
    sums = (dist / "SHA256SUMS").read_text()
    assert re.findall(r"  (.+)$", sums, re.MULTILINE) == packages
    assert (dist / "NOTES.md").read_text().strip() in CHANGELOG


def test_the_wheel_has_one_package_at_its_top(dist: Path) -> None:
    names = zipfile.ZipFile(dist / WHEEL).namelist()
    top = {name.split("/")[0] for name in names}
    assert top == {"container_images", f"container_images-{VERSION}.dist-info"}
    package = ROOT / "container_images"
    expected = {
        f"container_images/{file.relative_to(root)}"
        for root, folder in ((ROOT, ROOT / "components"), (package, package))
        for file in folder.rglob("*")
        if file.is_file() and "__pycache__" not in file.parts
    }
    assert {name for name in names if ".dist-info/" not in name} == expected


@pytest.mark.parametrize("tag", [VERSION, f"v{VERSION}.1"])
def test_a_tag_that_is_not_the_version_is_refused(tmp_path: Path, tag: str) -> None:
    done = run(".ci/release", tag, str(tmp_path / "dist"))
    assert done.returncode == 1
    assert f"tag v{VERSION}, or change the version" in done.stderr
    assert not (tmp_path / "dist").exists()


def test_pulumi_has_one_version() -> None:
    """requirements.txt has it; the SDK, CI's CLI and the plugin's environment follow."""
    assert re.search(r"^pulumi==", (ROOT / "requirements.txt").read_text(), re.MULTILINE)
    for name in ("plugin", "policypack"):
        assert "==" not in (ROOT / name / "requirements.txt").read_text()
    workflows = "".join(file.read_text() for file in WORKFLOWS.glob("*.yml"))
    versions = set(re.findall(r"pulumi-version: (.+?)(?: #|$)", workflows, re.MULTILINE))
    steps = ("venv.outputs.pulumi", "pulumi.outputs.version")
    assert versions == {f"${{{{ steps.{step} }}}}" for step in steps}


# --- The template ---------------------------------------------------------------------------------


def test_the_templates_stack_is_the_starter_without_namespaces() -> None:
    """`pulumi new` would break the lines of a file with keys such as `${PROJECT}:repositories`."""
    starter = (ROOT / "Pulumi.starter.yaml").read_text().replace("container-images:", "")
    template = (TEMPLATE / "Pulumi.prod.yaml").read_text()
    assert template.splitlines()[1:] == starter.splitlines()[1:]


def test_the_template_names_one_release() -> None:
    assert f"]=={VERSION}\n" in (TEMPLATE / "requirements.txt").read_text()
    callers = "".join(file.read_text() for file in CALLERS)
    [(_, tag)] = set(re.findall(r"uses: \S+@([0-9a-f]{40}) # v(\S+)", callers))
    assert tag == VERSION


@pytest.mark.parametrize("file", CALLERS, ids=lambda file: file.name)
def test_the_template_calls_each_workflow_with_what_it_needs(file: Path) -> None:
    """A called job cannot have more than its caller's."""
    load = YAML(typ="safe", pure=True).load
    caller, called = load(file), load(WORKFLOWS / file.name)
    [job] = caller["jobs"].values()
    assert f"/.github/workflows/{file.name}@" in job["uses"]
    permissions = [each["permissions"].items() for each in called["jobs"].values()]
    assert job["permissions"] == {scope: level for scopes in permissions for scope, level in scopes}
    assert caller["on"].keys() == called["on"].keys() - {"workflow_call"}


# --- At a team's ----------------------------------------------------------------------------------

AT_A_TEAM = """
import os, sys
packages, team = sys.argv[1:]
sys.path.insert(0, packages)
from container_images.cli.app import app
from container_images.rehearsal import year

os.chdir(team)
year.DAYS = 8
app(["rehearse", "--stack", "prod", "--json"])
"""


def test_a_team_rehearses_the_template(dist: Path, tmp_path: Path) -> None:
    """As `pulumi new` leaves it, and with a module of the team's own, outside of any clone.

    It begins in a folder whose modules have the names of the package's.
    """
    packages, folder, team = (tmp_path / name for name in ("packages", "folder", "team"))
    zipfile.ZipFile(dist / WHEEL).extractall(packages)
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
        [sys.executable, "-I", "-c", AT_A_TEAM, str(packages), str(team)],
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
    rehearsal = json.loads(done.stdout)
    assert all(act["ok"] for act in rehearsal["acts"])
    registered = [(each["type"], each["name"], each["inputs"]) for each in rehearsal["resources"]]
    starter = declared("starter", ROOT)
    with embedded_aws(starter) as aws:
        resources = program.run(starter, aws).resources
    assert registered == [(each.type, each.name, each.inputs) for each in resources]


# --- What an upgrade may change: .ci/changes.py, which .ci/engine runs ----------------------------

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


# --- What installs the requirements: uv gets what pip is configured with --------------------------

uv_environment = runpy.run_path(str(ROOT / ".ci" / "set_up.py"))["uv_environment"]


def test_uv_takes_the_options_of_pip() -> None:
    several = r"global.extra-index-url='\nhttps://a\nhttps://b'"
    b = "install.index-url='https://b'"
    for listing, expected in (
        ("freeze.index-url='https://a'\nglobal.quiet='1'", {}),
        (f"{b}\nglobal.index-url='https://a'", {"UV_DEFAULT_INDEX": "https://b"}),
        (f":env:.index-url='https://c'\n{b}", {"UV_DEFAULT_INDEX": "https://c"}),
        (several, {"UV_INDEX": "https://a https://b"}),
    ):
        assert uv_environment(listing) == {"UV_INDEX_STRATEGY": "unsafe-best-match", **expected}
