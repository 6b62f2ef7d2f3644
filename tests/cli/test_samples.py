"""The console samples of the docs, run in the order in which a page has them."""

import hashlib
import io
import json
import re
import shlex
import sys
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from importlib import import_module
from pathlib import Path
from pkgutil import iter_modules
from typing import Any, Self

import boto3
import pytest
from moto import mock_aws
from moto.ecr.models import ecr_backends

from container_images.cli.app import app
from container_images.policies.retention import lifecycle_policy
from tests.builds import (
    NAME,
    OCI_MANIFEST,
    REGION,
    ECRClient,
    digest_of,
    push,
    put_guard,
    put_lifecycle,
)
from tests.cli.test_terminal import Terminal
from tests.conftest import ROOT
from tests.events import event, identity
from tests.test_docs import differences, samples

ACCOUNT = "111122223333"
ROLE = f"arn:aws:iam::{ACCOUNT}:role/"
PIPELINE = f"{ROLE}pipeline/forms-image-pipeline"
COMMITS = {number: hashlib.sha1(number.encode()).hexdigest() for number in "123"}  # noqa: S324
RUN = "container-images "


def at(day: int, hour: int, minute: int = 0, second: int = 0) -> datetime:
    return datetime(2026, 11, day, hour, minute, second, tzinfo=UTC)


class Clock(datetime):
    """The time of the samples. Each command takes a minute."""

    minutes = 0

    @classmethod
    def now(cls, tz: Any = None) -> Self:
        return cls(2026, 11, 23, 8, cls.minutes, 0, tzinfo=tz)


def manifest(number: str) -> str:
    config = {"size": 90_000_000 + 3_000_000 * int(number)}
    content = {"schemaVersion": 2, "mediaType": OCI_MANIFEST, "config": config, "layers": []}
    return json.dumps(content)


def digest(number: str) -> str:
    return digest_of(manifest(number))


def built(number: str, merged: datetime, **stages: datetime) -> list[str]:
    """The unique tags of a build."""
    steps = {"merged": merged, **stages}
    return [f"{stage}-{COMMITS[number]}-{int(time.timestamp())}" for stage, time in steps.items()]


BUILDS = {
    "1": built("1", at(12, 10), stg=at(12, 11), prod=at(12, 15)),
    "2": [*built("2", at(18, 11, 6, 40), stg=at(18, 12), prod=at(19, 20, 40)), "latest"],
    "3": built("3", at(22, 16), stg=at(22, 17)),
}


def put(
    time: datetime, number: str, session: str, role: str = PIPELINE, tag: str = "latest"
) -> dict[str, Any]:
    """A put, as CloudTrail has it. One by another role than the pipeline's is denied."""
    request = {"repositoryName": NAME, "imageTag": tag, "imageManifest": manifest(number)}
    return event(
        "PutImage",
        time.hour,
        eventTime=f"{time:%Y-%m-%dT%H:%M:%SZ}",
        userIdentity=identity(role, session),
        requestParameters=request,
        resources=[{"ARN": f"arn:aws:ecr:{REGION}:{ACCOUNT}:repository/{NAME}"}],
        errorCode=None if role == PIPELINE else "AccessDenied",
    )


EVENTS = [
    put(at(12, 15), "1", "release-410", tag=BUILDS["1"][2]),
    put(at(12, 15, 1), "1", "release-410"),
    put(at(19, 20, 40), "2", "release-411", tag=BUILDS["2"][2]),
    put(at(19, 20, 41), "2", "release-411"),
    put(at(23, 7, 1), "1", "mary", f"{ROLE}developer"),
    put(at(23, 8, 2), "3", "release-412", tag=f"prod-{COMMITS['3']}-1795420920"),
    put(at(23, 8, 3), "3", "release-412"),
]
"""What happened to latest and the tags of production, up to the samples' promotion."""


@pytest.fixture
def registry(
    monkeypatch: pytest.MonkeyPatch, lookups: Callable[..., Any], tmp_path: Path
) -> Iterator[ECRClient]:
    """Three builds, of which latest is on the second; CloudTrail, and the time."""
    lookups(*EVENTS)
    monkeypatch.setattr(Clock, "minutes", 0)
    for room in ("cli", "tags", "lifecycle", "aws", "access", "stack"):
        for info in iter_modules(
            [str(ROOT / "container_images" / room)], f"container_images.{room}."
        ):
            module = import_module(info.name)  # a command would load it after this
            if getattr(module, "datetime", None) is datetime:
                monkeypatch.setattr(module, "datetime", Clock)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MOTO_ACCOUNT_ID", ACCOUNT)
    with mock_aws():
        client = boto3.client("ecr")
        client.create_repository(repositoryName=NAME)
        for number, tags in BUILDS.items():
            push(client, manifest(number), *tags)
        times = {digest(number): tags[0].rpartition("-")[2] for number, tags in BUILDS.items()}
        for image in ecr_backends[ACCOUNT][REGION].repositories[NAME].images:
            image.image_pushed_at = int(times[image.image_digest])
        kept = {"prod-*": 50, "merged-*": 100}
        retention: Any = [{"tags": tags, "keep_newest": most} for tags, most in kept.items()]
        retention.append({"untagged": True, "expire_after_days": 7})
        rules = lifecycle_policy(["latest"], retention)
        put_guard(client, PIPELINE)
        put_lifecycle(client, rules)
        yield client


@pytest.fixture
def files(registry: ECRClient, tmp_path: Path) -> None:
    """What the samples about files name: a policy that would take a release in use."""
    policy = lifecycle_policy(
        ["latest"],
        [{"tags": "prod-*", "keep_newest": 1}, {"tags": "pr-*", "expire_after_days": 14}],
    )
    (tmp_path / "policy.json").write_text(json.dumps(policy))
    images = registry.describe_images(repositoryName=NAME)["imageDetails"]
    (tmp_path / "images.json").write_text(json.dumps({"imageDetails": images}, default=str))
    (tmp_path / "in-use.txt").write_text(f"{NAME}:{BUILDS['1'][2]}\n")


def on_a_terminal(monkeypatch: pytest.MonkeyPatch, command: str) -> str:
    """What a terminal of 114 columns shows of a command."""
    with monkeypatch.context() as patch:
        for variable, value in {"COLUMNS": "114", "NO_COLOR": "1", "TERM": "xterm"}.items():
            patch.setenv(variable, value)
        patch.setattr(sys, "stdout", out := Terminal())
        patch.setattr(sys, "stderr", error := io.StringIO())
        with pytest.raises(SystemExit):
            app(shlex.split(command.removeprefix(RUN)))
    return re.sub(r"\x1b\[[0-9;]*m", "", out.getvalue() + error.getvalue())


def assert_shown(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    """What docs/access.md shows of a command is what it prints."""
    samples_of_page = samples(ROOT / "docs" / "access.md")
    [sample] = [sample for sample in samples_of_page if f"{RUN}{name} " in sample.command]
    printed = on_a_terminal(monkeypatch, sample.command)
    assert differences(sample, printed) == [], printed


@pytest.mark.usefixtures("files")
@pytest.mark.parametrize("name", ["commands.md", "lifecycle.md"])
def test_the_samples_are_what_is_printed(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    samples_of_page = [
        sample for sample in samples(ROOT / "docs" / name) if sample.command.startswith(RUN)
    ]
    assert samples_of_page
    for sample in samples_of_page:
        Clock.minutes += 1
        printed = on_a_terminal(monkeypatch, sample.command)
        assert differences(sample, printed) == [], printed


@pytest.mark.usefixtures("files")
def test_the_keys_of_the_objects_are_those_that_are_printed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    text = (ROOT / "docs" / "commands.md").read_text()
    rows = re.findall(r"^\| `(\w+)` \| (`reference`.+|`\w+`, .+) \|$", text, re.MULTILINE)
    samples_of_page = samples(ROOT / "docs" / "commands.md")
    commands = {sample.command.split()[1]: sample.command for sample in samples_of_page}
    assert {name for name, _ in rows} == commands.keys()
    for name, keys in rows:
        printed = on_a_terminal(monkeypatch, f"{commands[name]} --json")
        printed_object = json.loads(printed)
        if "repositories" in printed_object:
            [printed_object] = printed_object["repositories"]
        assert re.findall(r"`(\w+)`", keys) == list(printed_object), name
