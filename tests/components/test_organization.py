"""The organization's two policies, word for word, and what docs/organization.md says of them."""

from collections.abc import Callable, Iterable
from typing import Any

import pytest

from components import guard, organization
from components.fault import InvalidInputError
from components.guard import Access

APP = "arn:aws:ecr:eu-west-2:111122223333:repository/app"
TEAM_APP = "arn:aws:ecr:eu-west-2:111122223333:repository/team/app"
DEPLOY = "arn:aws:iam::111122223333:role/deploy"

Builder = Callable[[Access, Iterable[str]], dict[str, Any]]
BUILDERS = [organization.service_control_policy, organization.resource_control_policy]


def test_the_service_control_policy(access: Access) -> None:
    but_administrators = {"ArnNotEquals": {"aws:PrincipalArn": [DEPLOY]}}
    assert organization.service_control_policy(access, ["team/app", "app"]) == {
        "Version": "2012-10-17",
        "Statement": [
            {
                "Sid": "OnlyAdministratorsChangeTheRegistry",
                "Effect": "Deny",
                "Action": [
                    "ecr:CreatePullThroughCacheRule",
                    "ecr:CreateRepositoryCreationTemplate",
                    "ecr:DeletePullThroughCacheRule",
                    "ecr:DeleteRegistryPolicy",
                    "ecr:DeleteRepositoryCreationTemplate",
                    "ecr:DeleteSigningConfiguration",
                    "ecr:DeregisterPullTimeUpdateExclusion",
                    "ecr:PutAccountSetting",
                    "ecr:PutRegistryPolicy",
                    "ecr:PutRegistryScanningConfiguration",
                    "ecr:PutReplicationConfiguration",
                    "ecr:PutSigningConfiguration",
                    "ecr:RegisterPullTimeUpdateExclusion",
                    "ecr:StartReplicationBackfill",
                    "ecr:StopReplicationBackfill",
                    "ecr:UpdatePullThroughCacheRule",
                    "ecr:UpdateRepositoryCreationTemplate",
                ],
                "Resource": "*",
                "Condition": but_administrators,
            },
            {
                "Sid": "OnlyAdministratorsMakeTheRepositories",
                "Effect": "Deny",
                "Action": ["ecr:CreateRepository"],
                "Resource": [APP, TEAM_APP],
                "Condition": but_administrators,
            },
        ],
    }


def test_the_resource_control_policy_is_what_each_repositorys_denies(access: Access) -> None:
    document = organization.resource_control_policy(access, ["team/app", "app"])
    assert document["Version"] == "2012-10-17"
    resources = [statement.pop("Resource") for statement in document["Statement"]]
    assert resources == [[APP, TEAM_APP], [APP, TEAM_APP]]
    assert document["Statement"] == guard.repository_policy(access)["Statement"][:2]


@pytest.mark.parametrize("build", BUILDERS)
class TestBoth:
    def test_the_place_is_the_registrys(self, access: Access, build: Builder) -> None:
        access["partition"], access["region"] = "aws-cn", "cn-north-1"
        access["account_id"] = "444455556666"
        document = build(access, ["app"])
        arns = ["arn:aws-cn:ecr:cn-north-1:444455556666:repository/app"]
        assert document["Statement"][-1]["Resource"] == arns

    def test_the_order_in_which_anything_is_listed_does_not_matter(
        self, access: Access, build: Builder
    ) -> None:
        documents = set()
        for order in ("cab", "abc", "cabc"):
            roles = [f"arn:aws:iam::111122223333:role/{name}" for name in order]
            access["pipeline_roles"] = access["administrator_roles"] = roles
            documents.add(guard.to_json(build(access, order)))
        assert len(documents) == 1

    def test_it_says_what_to_shorten(self, access: Access, build: Builder) -> None:
        with pytest.raises(InvalidInputError, match="200 repositories"):
            build(access, [f"app-{number}" for number in range(200)])
        access["administrator_roles"] = [f"{DEPLOY}-{number}" for number in range(200)]
        with pytest.raises(InvalidInputError, match="200 administrator roles"):
            build(access, ["app"])


def test_it_says_that_the_pipeline_roles_are_too_many(access: Access) -> None:
    access["pipeline_roles"] = [f"{DEPLOY}-{number}" for number in range(200)]
    with pytest.raises(InvalidInputError, match="200 pipeline roles"):
        organization.resource_control_policy(access, ["app"])


def test_the_last_character_of_a_service_control_policy_is_accepted(access: Access) -> None:
    spare = 10_240 - len(guard.to_json(organization.service_control_policy(access, ["app"])))
    assert organization.service_control_policy(access, ["app" + "x" * spare])
    with pytest.raises(InvalidInputError, match=r"a service control policy of at most 10,240 char"):
        organization.service_control_policy(access, ["app" + "x" * (spare + 1)])


def test_the_last_character_of_a_resource_control_policy_is_accepted(access: Access) -> None:
    spare = 5_120 - len(guard.to_json(organization.resource_control_policy(access, ["app"])))
    access["administrator_roles"] = [DEPLOY + "x" * spare]
    assert organization.resource_control_policy(access, ["app"])
    access["administrator_roles"] = [DEPLOY + "x" * (spare + 1)]
    with pytest.raises(InvalidInputError, match=r"a resource control policy of at most 5,120 char"):
        organization.resource_control_policy(access, ["app"])
