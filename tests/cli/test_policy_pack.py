"""The folder of the policy pack, as an installed wheel writes it."""

import importlib.metadata
import sys
from pathlib import Path

import pytest
from ruamel.yaml import YAML

from container_images.cli import policy_pack
from tests.cli.test_cli import done, refused, run


@pytest.fixture(autouse=True)
def _installed(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """As in a project whose .venv has the wheel."""
    monkeypatch.setattr(policy_pack, "version", lambda _: "1.2.3")
    monkeypatch.setattr(sys, "prefix", str(tmp_path / ".venv"))
    monkeypatch.chdir(tmp_path)


def test_the_folder_has_what_pulumi_takes(tmp_path: Path) -> None:
    printed = run("policy-pack", "build/pack").stdout
    assert printed == "Wrote build/pack. Next: pulumi preview --policy-pack build/pack\n"
    folder = tmp_path / "build" / "pack"
    manifest = YAML(typ="safe", pure=True).load((folder / "PulumiPolicy.yaml").read_text())
    options = {"toolchain": "pip", "virtualenv": "../../.venv"}
    assert manifest.pop("description")
    assert manifest == {"version": "1.2.3", "runtime": {"name": "python", "options": options}}
    assert "container-images[policy-pack]==1.2.3" in (folder / "requirements.txt").read_text()
    compile((folder / "__main__.py").read_text(), "__main__.py", "exec")
    # It is written again, as after an upgrade.
    files = ["PulumiPolicy.yaml", "__main__.py", "requirements.txt"]
    written = {"folder": "build/pack", "version": "1.2.3", "files": files}
    assert done("policy-pack", "build/pack") == written


def test_what_stands_in_the_way_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "__main__.py").write_text("import pulumi\n")
    assert ". has another __main__.py: name a folder" in refused("policy-pack", ".")
    assert [file.name for file in tmp_path.iterdir()] == ["__main__.py"]
    error = refused("policy-pack", "__main__.py/pack")
    assert error == "__main__.py/pack cannot be written: Not a directory"

    def not_installed(name: str) -> str:
        raise importlib.metadata.PackageNotFoundError(name)

    monkeypatch.setattr(policy_pack, "version", not_installed)
    missing = "No package metadata was found for pulumi-policy; run pip install "
    assert missing in refused("policy-pack", "pack")
