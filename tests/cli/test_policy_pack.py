"""The folder of the policy pack, as an installed wheel writes it."""

import importlib.metadata
import json
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from ruamel.yaml import YAML

from container_images.cli import policy_pack
from container_images.cli.app import app


@pytest.fixture(autouse=True)
def _installed(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """As in a project whose .venv has the wheel."""
    monkeypatch.setattr(policy_pack, "version", lambda _: "1.2.3")
    monkeypatch.setattr(sys, "prefix", str(tmp_path / ".venv"))
    monkeypatch.chdir(tmp_path)


def run(*words: str) -> Result:
    return CliRunner().invoke(app, ["policy-pack", *words])


def test_the_folder_has_what_pulumi_takes(tmp_path: Path) -> None:
    result = run("build/pack")
    assert (result.exit_code, result.stderr) == (0, "")
    assert result.stdout == "Wrote build/pack. Next: pulumi preview --policy-pack build/pack\n"
    folder = tmp_path / "build" / "pack"
    manifest = YAML(typ="safe", pure=True).load((folder / "PulumiPolicy.yaml").read_text())
    assert manifest["version"] == "1.2.3"
    options = {"toolchain": "pip", "virtualenv": str(tmp_path / ".venv")}
    assert manifest["runtime"] == {"name": "python", "options": options}
    assert "container-images[policy-pack]==1.2.3" in (folder / "requirements.txt").read_text()
    compile((folder / "__main__.py").read_text(), "__main__.py", "exec")


def test_a_folder_beside_the_environment_names_it_from_there(tmp_path: Path) -> None:
    """So that it can be committed."""
    result = run("pack", "--json")
    assert json.loads(result.stdout) == {
        "folder": "pack",
        "version": "1.2.3",
        "files": ["PulumiPolicy.yaml", "__main__.py", "requirements.txt"],
    }
    assert 'virtualenv: "../.venv"' in (tmp_path / "pack" / "PulumiPolicy.yaml").read_text()
    assert run("pack").exit_code == 0  # again, after an upgrade


def test_another_pack_is_not_overwritten(tmp_path: Path) -> None:
    manifest = tmp_path / "PulumiPolicy.yaml"
    manifest.write_text("runtime: nodejs\n")
    result = run(".")
    assert result.exit_code == 1
    assert ". has another PulumiPolicy.yaml: name a folder for this pack alone" in result.stderr
    assert not (tmp_path / "__main__.py").exists()
    error = "PulumiPolicy.yaml/pack cannot be written: Not a directory\n"
    assert run("PulumiPolicy.yaml/pack").stderr == error


def test_what_is_missing_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    def not_installed(name: str) -> str:
        raise importlib.metadata.PackageNotFoundError(name)

    monkeypatch.setattr(policy_pack, "version", not_installed)
    assert "in a clone, give --policy-pack policypack" in run("pack").stderr
    monkeypatch.setattr(policy_pack, "find_spec", lambda _: None)
    assert "pip install 'container-images[policy-pack]'" in run("pack").stderr
