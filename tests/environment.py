"""The environment of all tests: no way to a real AWS, and nothing that is read twice."""

import gc
import os
from collections.abc import Iterator
from copy import deepcopy
from functools import cache, partial
from pathlib import Path
from typing import Any

import boto3
import botocore.hooks
import botocore.loaders
import botocore.session
import hypothesis
import pulumi
import pytest
from pulumi.runtime.proto.source_pb2 import StackTrace
from ruamel.yaml import YAML

from container_images.cli import terminal

# Every client and every update leaves cycles behind: a few large rounds are the cheapest.
gc.set_threshold(1_000_000, 50, 50)


def pytest_collection_finish() -> None:
    """What is loaded by now lives as long as the tests: to walk through it again frees nothing."""
    gc.freeze()


def pytest_sessionfinish() -> None:
    """Nor does a walk through everything before the process ends."""
    gc.freeze()


# The same examples in every run, however slow the machine, and nothing kept between runs. With
# HYPOTHESIS_PROFILE=nightly more of them, and others each time.
for profile, examples in {"deterministic": 10, "nightly": 1_000}.items():
    hypothesis.settings.register_profile(
        profile,
        derandomize=profile == "deterministic",
        deadline=None,
        database=None,
        max_examples=examples,
        suppress_health_check=[hypothesis.HealthCheck.too_slow],
    )
hypothesis.settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "deterministic"))


@pytest.fixture(scope="session", autouse=True)
def _no_real_aws() -> Iterator[None]:
    """Credentials that nobody has, an endpoint where nobody listens, no files and no metadata."""
    with pytest.MonkeyPatch.context() as patch:
        for name in [name for name in os.environ if name.startswith(("AWS_", "PULUMI_"))]:
            patch.delenv(name)
        patch.setenv("AWS_ACCESS_KEY_ID", "testing")
        patch.setenv("AWS_SECRET_ACCESS_KEY", "testing")
        patch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
        patch.setenv("AWS_EC2_METADATA_DISABLED", "true")
        patch.setenv("AWS_CONFIG_FILE", os.devnull)
        patch.setenv("AWS_SHARED_CREDENTIALS_FILE", os.devnull)
        # A slow machine says nothing that the tests do not expect.
        patch.setattr(terminal, "PATIENCE", 600.0)
        # An Output in a string is a mistake that otherwise only warns.
        patch.setenv("PULUMI_ERROR_OUTPUT_STRING", "1")
        yield


@pytest.fixture(scope="session", autouse=True)
def _nothing_is_read_twice() -> Iterator[None]:
    """Each of many hundred sessions would read AWS's models, and name its 300 events, again.

    So would each program the stack files, and where in them it registers each resource.
    """
    loader = botocore.loaders.create_loader()
    loader.search_paths.append(str(Path(boto3.__file__).with_name("data")))
    aliaser: Any = botocore.hooks.EventAliaser  # its method is private: if it moves, all tests fail
    alias = cache(partial(aliaser._alias_event_name, aliaser(None)))
    load = YAML.load
    parsed = cache(lambda text: load(YAML(typ="safe", pure=True), text))

    def load_once(yaml: YAML, stream: Any) -> Any:
        usual = yaml.typ == ["safe"] and not yaml.version and isinstance(stream, str | bytes)
        return deepcopy(parsed(stream)) if usual else load(yaml, stream)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(botocore.session, "create_loader", lambda _: loader)
        patch.setattr(boto3.Session, "_setup_loader", lambda it: setattr(it, "_loader", loader))
        patch.setattr(aliaser, "_alias_event_name", lambda _, name: alias(name))
        patch.setattr(botocore.hooks, "accepts_kwargs", lambda _: True)
        patch.setattr(pulumi.runtime.resource, "_get_stack_trace", StackTrace)
        patch.setattr(YAML, "load", load_once)
        yield
