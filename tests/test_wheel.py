"""The package as a pipeline has it: installed from a wheel, outside the project's folder."""

import json
import os
import subprocess
import sys
import sysconfig
import venv
import zipfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import boto3
import pytest
from moto.server import ThreadedMotoServer

from container_images.cli.app import COMMAND_MODULES
from container_images.rehearsal.rehearse import rehearse as rehearsal_of
from container_images.settings.stack_file import read
from tests.builds import NAME, build, tag
from tests.conftest import FIXTURES, ROOT

if TYPE_CHECKING:
    from collections.abc import Iterator

PACKAGE = ROOT / "container_images"
COMMANDS = [name for names in COMMAND_MODULES.values() for name in names]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    build_it = [sys.executable, "-m", "hatchling", "build", "--target", "wheel", "--directory"]
    subprocess.run([*build_it, str(folder)], cwd=ROOT, check=True, capture_output=True)
    [file] = folder.glob("*.whl")
    return file


@pytest.fixture(scope="module")
def environment(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A virtual environment with the wheel. What it depends on is that of the tests."""
    folder = tmp_path_factory.mktemp("environment")
    venv.create(folder, with_pip=False)
    python = folder / "bin" / "python"
    uv = [str(Path(sysconfig.get_path("scripts")) / "uv"), "pip", "install", "--quiet", "--offline"]
    subprocess.run([*uv, "--no-deps", "--python", str(python), str(wheel)], check=True)
    [packages] = (folder / "lib").glob("python*/site-packages")
    (packages / "dependencies.pth").write_text(sysconfig.get_path("purelib") + "\n")
    return folder / "bin"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A working directory whose modules have names that the package's modules have too."""
    for name in ("policies", "settings", "components", "cli", "aws"):
        (tmp_path / f"{name}.py").write_text("raise ImportError('this is not the package')\n")
    return tmp_path


def run(*command: str | Path, folder: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [str(word) for word in command],
        cwd=folder,
        env={key: text for key, text in os.environ.items() if key != "PYTHONPATH"},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


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


def test_the_help_of_every_command(environment: Path, folder: Path) -> None:
    """In one process: each would load its libraries anew."""
    program = (
        "from click.testing import CliRunner; from container_images.cli.app import app\n"
        f"for name in {COMMANDS}:\n"
        "    result = CliRunner().invoke(app, [name, '--help'])\n"
        "    assert result.exit_code == 0 and 'Usage: ' in result.stdout, (name, result)\n"
    )
    done = run(environment / "python", "-I", "-c", program, folder=folder)
    assert (done.returncode, done.stderr) == (0, "")


def test_the_components_are_packed(environment: Path, folder: Path) -> None:
    program = "from container_images.components.tag_audit import TagAudit"
    done = run(environment / "python", "-c", program, folder=folder)
    assert (done.returncode, done.stderr) == (0, "")


def test_the_template_registers_what_the_starter_does(environment: Path, tmp_path: Path) -> None:
    """A team's repository as `pulumi new` leaves it, with nothing of a clone."""
    for file in (ROOT / "template").iterdir():
        if file.is_file():
            text = file.read_text().replace("${PROJECT}", "team").replace("${DESCRIPTION}", "x")
            (tmp_path / file.name).write_text(text)
    rehearse = ("rehearse", "--stack", "prod", "--json")
    done = run(environment / "container-images", *rehearse, folder=tmp_path)
    assert done.returncode == 0, done.stderr
    starter = rehearsal_of(read(ROOT, "starter")).to_json()
    assert json.loads(done.stdout)["resources"] == starter["resources"]


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> "Iterator[None]":
    moto_server = ThreadedMotoServer(port=0, verbose=False)
    moto_server.start()
    host, port = moto_server.get_host_and_port()
    monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://{host}:{port}")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "eu-west-2")
    yield
    moto_server.stop()


@pytest.mark.usefixtures("server")
def test_a_pipeline_promotes_an_image(environment: Path, folder: Path) -> None:
    def command(*words: str | Path) -> Any:
        done = run(*words, "--json", folder=folder)
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)

    ecr = boto3.client("ecr")
    ecr.create_repository(repositoryName=NAME)
    digest = build(ecr, "a")
    script = environment / "container-images"
    module = (environment / "python", "-m", "container_images")
    merged = tag("merged", "a")
    promoted = command(script, "promote", NAME, merged, "--stage", "prod", "--latest")
    assert promoted["digest"] == digest
    [resolved] = command(*module, "resolve", NAME)["repositories"]
    assert resolved["uniqueTag"] == promoted["tag"]
    [repository] = command(script, "images", NAME)["repositories"]
    [image] = repository["images"]
    assert set(image["tags"]) == {merged, promoted["tag"], "latest"}


def test_a_team_rehearses_a_program_of_its_own(environment: Path, folder: Path) -> None:
    """Outside of any clone. The settings are in the namespace of the project's own name."""
    for file in folder.glob("*.py"):
        file.unlink()
    (folder / "Pulumi.yaml").write_text("name: our-images\nruntime: python\n")
    stack = (FIXTURES / "Pulumi.prod.yaml").read_text()
    (folder / "Pulumi.prod.yaml").write_text(stack.replace("container-images:", "our-images:"))
    program = "from names import REGISTRY\nfrom container_images.components import Registry\n\n"
    (folder / "__main__.py").write_text(f"{program}Registry.from_config(REGISTRY)\n")
    (folder / "names.py").write_text('REGISTRY = "ours"\n')
    script = environment / "container-images"
    done = run(script, "rehearse", "--stack", "prod", "--json", folder=folder)
    assert (done.returncode, done.stderr) == (0, "")
    rehearsal = json.loads(done.stdout)
    assert all(act["ok"] for act in rehearsal["acts"])
    types = {it["type"].rpartition(":")[2] for it in rehearsal["resources"]}
    assert {"Registry", "ImageRepository", "TagAudit", "EventRule"} <= types
