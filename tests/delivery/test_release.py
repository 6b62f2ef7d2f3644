"""A release: one version everywhere, and what its workflow builds."""

import os
import re
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

import pytest
from ruamel.yaml import YAML

from tests.conftest import ROOT

VERSION = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
CHANGELOG = (ROOT / "CHANGELOG.md").read_text()
TEMPLATE = ROOT / "template"
CALLERS = sorted((TEMPLATE / ".github" / "workflows").glob("*.yml"))
WORKFLOWS = ROOT / ".github" / "workflows"


def release(tag: str, folder: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [str(ROOT / ".ci" / "release"), tag, str(folder)],
        env={"PATH": os.environ["PATH"], "PYTHON": sys.executable},
        capture_output=True,
        text=True,
        check=False,
    )


def test_a_release_has_packages_hashes_and_notes(tmp_path: Path) -> None:
    assert re.findall(r"^## (.+)$", CHANGELOG, re.MULTILINE)[0] == VERSION
    done = release(f"v{VERSION}", tmp_path)
    assert done.returncode == 0, done.stderr
    wheel = f"container_images-{VERSION}-py3-none-any.whl"
    packages = [wheel, f"container_images-{VERSION}.tar.gz"]
    assert {file.name for file in tmp_path.iterdir()} == {*packages, "SHA256SUMS", "NOTES.md"}
    sums = (tmp_path / "SHA256SUMS").read_text()
    assert re.findall(r"  (.+)$", sums, re.MULTILINE) == packages
    assert (tmp_path / "NOTES.md").read_text().strip() in CHANGELOG
    metadata = f"container_images-{VERSION}.dist-info/METADATA"
    assert f"\nVersion: {VERSION}\n" in zipfile.ZipFile(tmp_path / wheel).read(metadata).decode()


@pytest.mark.parametrize("tag", ["v99.0.0", VERSION, f"v{VERSION}.1"])
def test_a_tag_that_is_not_the_version_is_refused(tmp_path: Path, tag: str) -> None:
    done = release(tag, tmp_path / "dist")
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
