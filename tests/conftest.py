"""What all tests share: no way to a real AWS, and the stack that they are about."""

import gc
import os
from collections.abc import Iterator
from copy import deepcopy
from dataclasses import replace
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
from pulumi.runtime import MockCallArgs, MockResourceArgs
from pulumi.runtime.proto.source_pb2 import StackTrace
from ruamel.yaml import YAML

from container_images.cli import terminal
from container_images.policies.repository_policy import Access
from container_images.rehearsal.program import Update, run
from container_images.settings import Account
from container_images.stack.declared import DeclaredStack, declared

pytest_plugins = ["tests.aws_fixtures"]

ROOT = Path(__file__).parents[1]
FIXTURES = Path(__file__).parent / "fixtures"
"""Stack files for tests. The ones at the top belong to whoever uses the project."""

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
for profile, examples in {"deterministic": 15, "nightly": 1_000}.items():
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
        usual = yaml.typ == ["safe"] and not yaml.version and isinstance(stream, str)
        return deepcopy(parsed(stream)) if usual else load(yaml, stream)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(botocore.session, "create_loader", lambda _: loader)
        patch.setattr(boto3.Session, "_setup_loader", lambda it: setattr(it, "_loader", loader))
        patch.setattr(aliaser, "_alias_event_name", lambda _, name: alias(name))
        patch.setattr(botocore.hooks, "accepts_kwargs", lambda _: True)
        patch.setattr(pulumi.runtime.resource, "_get_stack_trace", StackTrace)
        patch.setattr(YAML, "load", load_once)
        yield


@pytest.fixture
def account() -> Account:
    return Account(partition="aws", id="111122223333", region="eu-west-2")


@pytest.fixture
def access() -> Access:
    """An access with one of everything."""
    return {
        "partition": "aws",
        "account_id": "111122223333",
        "region": "eu-west-2",
        "pipeline_roles": ["arn:aws:iam::111122223333:role/pipeline/push"],
        "administrator_roles": ["arn:aws:iam::111122223333:role/deploy"],
        "pull_accounts": ["444455556666"],
        "pull_organization": "",
        "lambda_pull": False,
    }


def fixture_stack(name: str = "prod") -> DeclaredStack:
    """A stack file of tests/fixtures, as if it were a stack of this project."""
    return replace(declared(name, FIXTURES), directory=ROOT)


@pytest.fixture(scope="session")
def prod() -> DeclaredStack:
    """A production stack with one of everything."""
    return fixture_stack()


COMPUTED: dict[str, dict[str, str]] = {
    "aws:ecr/repository:Repository": {
        "arn": "arn:aws:ecr:eu-west-2:111122223333:repository/{name}",
        "repositoryUrl": "111122223333.dkr.ecr.eu-west-2.amazonaws.com/{name}",
    },
    "aws:ecr/lifecyclePolicy:LifecyclePolicy": {},
    "aws:ecr/repositoryPolicy:RepositoryPolicy": {},
    "aws:iam/role:Role": {"arn": "arn:aws:iam::111122223333:role{path}{name}"},
    "aws:iam/rolePolicy:RolePolicy": {},
    "aws:cloudwatch/eventRule:EventRule": {},
    "aws:cloudwatch/eventTarget:EventTarget": {},
    "aws:sns/topic:Topic": {"arn": "arn:aws:sns:eu-west-2:111122223333:{name}"},
    "aws:sns/topicSubscription:TopicSubscription": {},
    "aws:sqs/queue:Queue": {"arn": "arn:aws:sqs:{region}:111122223333:{name}"},
}
"""The types of AWS that there are, and what it adds to a resource's inputs."""


DEPLOYING_ROLE = "arn:aws:iam::111122223333:role/platform/forms-registry-deploy"


class Cloud(pulumi.runtime.Mocks):
    """Answers as AWS would, and keeps what it was asked. Whatever it does not know, it refuses."""

    def __init__(self, caller: str, *, computed: bool = True) -> None:
        self.caller = caller
        self.computed = computed
        self.invokes: list[str] = []

    def new_resource(self, args: MockResourceArgs) -> tuple[str | None, dict[str, Any]]:
        known = {} if ":index:" in args.typ else COMPUTED[args.typ]  # a component has nothing
        values = {**args.inputs, "name": args.name}
        computed = {key: text.format(**values) for key, text in known.items()}
        return (args.name, args.inputs | computed) if self.computed else (None, args.inputs)

    def call(self, args: MockCallArgs) -> tuple[dict[str, Any], list[tuple[str, str]] | None]:
        self.invokes.append(args.token)
        session = f"arn:aws:sts::111122223333:assumed-role/{self.caller.rpartition('/')[2]}/ci"
        answers = {
            "getCallerIdentity": {"accountId": "111122223333", "arn": session},
            "getRegion": {"region": "eu-west-2"},
            "getSessionContext": {"issuerArn": self.caller},
        }
        return answers[args.token.rpartition(":")[2]], []


@pytest.fixture
def cloud() -> Cloud:
    """A cloud in which the production stack's deploying role calls."""
    return Cloud(DEPLOYING_ROLE)


@pytest.fixture(scope="session")
def deployed(prod: DeclaredStack) -> Update:
    """What the production stack registers, for tests that only look at it."""
    return run(prod, Cloud(DEPLOYING_ROLE))
