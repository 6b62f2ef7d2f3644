"""The production stack of the tests, and a cloud in which it is deployed."""

from dataclasses import replace
from typing import Any

import pulumi
import pytest
from pulumi.runtime import MockCallArgs, MockResourceArgs

from container_images.policies.repository_policy import Access
from container_images.rehearsal.program import Resource, Update, run
from container_images.settings import Account
from container_images.stack.declared import DeclaredStack, declared
from tests import builds
from tests.conftest import FIXTURES, ROOT


@pytest.fixture
def account() -> Account:
    return Account(partition="aws", id="111122223333", region="eu-west-2")


@pytest.fixture
def access() -> Access:
    return builds.access()


def fixture_stack(name: str = "prod") -> DeclaredStack:
    """A stack file of tests/fixtures, as if it were a stack of this project."""
    return replace(declared(name, FIXTURES), directory=ROOT)


@pytest.fixture(scope="session")
def prod() -> DeclaredStack:
    """A production stack with one of everything."""
    return fixture_stack()


def awaited(resource: Resource) -> set[str]:
    """Names of what a resource has to wait for, beside those that its inputs come from."""
    dependencies: Any = resource.options.depends_on or []
    listed = dependencies if isinstance(dependencies, list) else [dependencies]
    return {each.pulumi_resource_name for each in listed if isinstance(each, pulumi.Resource)}


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
