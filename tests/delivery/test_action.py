"""action.yml: its steps, run in an empty directory as GitHub runs them."""

import json
import os
import re
import subprocess
import sys
import sysconfig
from pathlib import Path
from typing import Any

import boto3
import pytest
from ruamel.yaml import YAML

from tests.builds import NAME, build, tag
from tests.conftest import ROOT

ACTION: dict[str, Any] = YAML(typ="safe", pure=True).load((ROOT / "action.yml").read_text())
INSTALL, RUN = (step["run"] for step in ACTION["runs"]["steps"] if "run" in step)
OFFLINE = {
    # What the tests run with is there already: nothing is downloaded.
    "PYTHONPATH": sysconfig.get_path("purelib"),
    "PIP_NO_DEPS": "1",
    "PIP_NO_COMPILE": "1",
    "PIP_DISABLE_PIP_VERSION_CHECK": "1",
    "PIP_NO_INDEX": "1",
    "PIP_NO_BUILD_ISOLATION": "0",
}


def run(script: str, temp: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    runner = {"GITHUB_ACTION_PATH": str(ROOT), "RUNNER_TEMP": str(temp)}
    output = {"GITHUB_OUTPUT": str(temp / "output")}
    (temp / "work").mkdir(exist_ok=True)
    return subprocess.run(
        ["bash", "--noprofile", "--norc", "-eo", "pipefail", "-c", script],  # noqa: S607
        cwd=temp / "work",
        env={**os.environ, **OFFLINE, **runner, **output, **environment},
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.usefixtures("moto_server")
def test_an_image_is_promoted_and_an_argument_is_never_a_script(tmp_path: Path) -> None:
    done = run(INSTALL, tmp_path, PYTHON=sys.executable)
    assert done.returncode == 0, done.stderr
    ecr = boto3.client("ecr")
    ecr.create_repository(repositoryName=NAME)
    digest = build(ecr, "a")
    arguments = f"{NAME}\n{tag('merged', 'a')}\r\n--stage\nprod\n\n--latest\n"
    done = run(RUN, tmp_path, COMMAND="promote", ARGUMENTS=arguments)
    assert done.returncode == 0, done.stderr
    match = re.fullmatch(
        r"json<<(\w{32})\n(.*)\n\1\n", (tmp_path / "output").read_text(), re.DOTALL
    )
    assert match
    assert json.loads(match[2])["digest"] == digest

    command = tmp_path / "container-images" / "bin" / "container-images"
    command.write_text('#!/bin/sh\nprintf "%s|" "$@"\n')
    done = run(RUN, tmp_path, COMMAND="resolve", ARGUMENTS="app; touch injected\n$(touch injected)")
    assert done.stdout == "resolve|app; touch injected|$(touch injected)|--json|\n"
    assert not list((tmp_path / "work").iterdir())


def test_each_input_reaches_the_script_by_the_environment() -> None:
    assert "${{" not in INSTALL + RUN
    used = set(re.findall(r"inputs\.([\w-]+)", (ROOT / "action.yml").read_text()))
    assert used == set(ACTION["inputs"])
