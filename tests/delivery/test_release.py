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
STEPS_WITH_THE_VERSION = ("venv.outputs.pulumi", "pulumi.outputs.version")
CHANGELOG = (ROOT / "CHANGELOG.md").read_text()


def release(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [str(ROOT / ".ci" / "release"), *arguments],
        env={"PATH": os.environ["PATH"], "PYTHON": sys.executable},
        capture_output=True,
        text=True,
        check=False,
    )


def test_the_newest_section_of_the_changelog_is_the_version() -> None:
    assert re.findall(r"^## (.+)$", CHANGELOG, re.MULTILINE)[0] == VERSION


def test_a_release_has_packages_hashes_and_notes(tmp_path: Path) -> None:
    done = release(f"v{VERSION}", str(tmp_path))
    assert done.returncode == 0, done.stderr
    wheel, sdist = (
        f"container_images-{VERSION}-py3-none-any.whl",
        f"container_images-{VERSION}.tar.gz",
    )
    assert {file.name for file in tmp_path.iterdir()} == {wheel, sdist, "SHA256SUMS", "NOTES.md"}
    assert re.findall(r"  (.+)$", (tmp_path / "SHA256SUMS").read_text(), re.MULTILINE) == [
        wheel,
        sdist,
    ]
    assert (tmp_path / "NOTES.md").read_text().strip() in CHANGELOG
    metadata = f"container_images-{VERSION}.dist-info/METADATA"
    assert f"\nVersion: {VERSION}\n" in zipfile.ZipFile(tmp_path / wheel).read(metadata).decode()


@pytest.mark.parametrize("tag", ["v99.0.0", VERSION, f"v{VERSION}.1"])
def test_a_tag_that_is_not_the_version_is_refused(tmp_path: Path, tag: str) -> None:
    done = release(tag, str(tmp_path / "dist"))
    assert done.returncode == 1
    assert f"tag v{VERSION}, or change the version" in done.stderr
    assert not (tmp_path / "dist").exists()


def test_pulumi_has_one_version() -> None:
    """requirements.txt has it; the SDK, CI's CLI and the plugin's environment follow."""
    assert re.search(r"^pulumi==", (ROOT / "requirements.txt").read_text(), re.MULTILINE)
    for name in ("plugin", "policypack"):
        assert "==" not in (ROOT / name / "requirements.txt").read_text()
    workflows = "".join(file.read_text() for file in (ROOT / ".github/workflows").glob("*.yml"))
    versions = set(re.findall(r"pulumi-version: (.+?)(?: #|$)", workflows, re.MULTILINE))
    assert versions == {f"${{{{ steps.{step} }}}}" for step in STEPS_WITH_THE_VERSION}


# --- The template ---------------------------------------------------------------------------------

TEMPLATE = ROOT / "template"


def test_the_templates_stack_is_the_starter_without_namespaces() -> None:
    """`pulumi new` would break the lines of a file with keys such as `${PROJECT}:repositories`."""
    starter = (ROOT / "Pulumi.starter.yaml").read_text().replace("container-images:", "")
    template = (TEMPLATE / "Pulumi.prod.yaml").read_text()
    assert template.splitlines()[1:] == starter.splitlines()[1:]


def test_the_template_names_one_release() -> None:
    assert f"]=={VERSION}\n" in (TEMPLATE / "requirements.txt").read_text()
    callers = "".join(file.read_text() for file in (TEMPLATE / ".github/workflows").glob("*.yml"))
    [(_, tag)] = set(re.findall(r"uses: \S+@([0-9a-f]{40}) # v(\S+)", callers))
    assert tag == VERSION


def test_the_template_calls_each_workflow_with_what_it_needs() -> None:
    """A called job cannot have more than its caller's."""
    for file in sorted((TEMPLATE / ".github" / "workflows").glob("*.yml")):
        load = YAML(typ="safe", pure=True).load
        caller, called = load(file), load(ROOT / ".github" / "workflows" / file.name)
        [job] = caller["jobs"].values()
        assert "/.github/workflows/" + file.name + "@" in job["uses"]
        needed = {
            key: level for it in called["jobs"].values() for key, level in it["permissions"].items()
        }
        assert job["permissions"] == needed
        ours = {event for event in called["on"] if event != "workflow_call"}
        assert set(caller["on"]) == ours
