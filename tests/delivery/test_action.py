"""action.yml: its steps, run in an empty directory as GitHub runs them."""

import json
import os
import re
import sys
import sysconfig
from functools import partial
from pathlib import Path
from typing import Any

import boto3
import pytest
from ruamel.yaml import YAML

from tests.builds import NAME, build, tag
from tests.conftest import ROOT
from tests.delivery.shell import run

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


@pytest.mark.usefixtures("moto_server")
def test_an_image_is_promoted_and_an_argument_is_never_a_script(tmp_path: Path) -> None:
    work, output = tmp_path / "work", tmp_path / "output"
    work.mkdir()
    runner = {"GITHUB_ACTION_PATH": str(ROOT), "RUNNER_TEMP": str(tmp_path)}
    environment = {**os.environ, **OFFLINE, **runner, "GITHUB_OUTPUT": str(output)}
    step = partial(run, "-c", folder=work, **environment)
    done = step(INSTALL, PYTHON=sys.executable)
    assert done.returncode == 0, done.stderr
    ecr = boto3.client("ecr")
    ecr.create_repository(repositoryName=NAME)
    digest = build(ecr, "a")
    arguments = f"{NAME}\n{tag('merged', 'a')}\r\n--stage\nprod\n\n--latest\n"
    done = step(RUN, COMMAND="promote", ARGUMENTS=arguments)
    assert done.returncode == 0, done.stderr
    match = re.fullmatch(r"json<<(\w{32})\n(.*)\n\1\n", output.read_text(), re.DOTALL)
    assert match
    assert json.loads(match[2])["digest"] == digest

    command = tmp_path / "container-images" / "bin" / "container-images"
    command.write_text('#!/bin/sh\nprintf "%s|" "$@"\n')
    done = step(RUN, COMMAND="resolve", ARGUMENTS="app; touch injected\n$(touch injected)")
    assert done.stdout == "resolve|app; touch injected|$(touch injected)|--json|\n"
    assert not list(work.iterdir())
