"""What the roles of CI could do to a registry, by the project's own evidence: `registry movers`."""

import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from container_images.bootstrap.permissions import (
    Place,
    audit_boundary,
    deploy_policy,
    pipeline_boundary,
    preview_policy,
)
from container_images.cli.app import app
from container_images.policies.repository_policy import repository_policy
from container_images.policies.trust_policy import Trust, pipeline_role_policy, trust_policy
from tests.delivery.test_permissions import KEY, PLACE

REPOSITORY = "arn:aws:ecr:eu-west-2:111122223333:repository/app"
NONE: dict[str, Any] = {"Version": "2012-10-17", "Statement": []}


def trusting(**who: list[str]) -> dict[str, Any]:
    trust = Trust(
        partition="aws",
        account_id="111122223333",
        codebuild_projects=[],
        github_subjects=[],
        roles=[],
    )
    return trust_policy({**trust, **who})  # type: ignore[typeddict-item]


def role(
    arn: str, trust: dict[str, Any], *documents: dict[str, Any], **more: Any
) -> dict[str, Any]:
    return {
        "Arn": arn,
        "RoleName": arn.rpartition("/")[2],
        "AssumeRolePolicyDocument": trust,
        "RolePolicyList": [
            {"PolicyName": str(number), "PolicyDocument": document}
            for number, document in enumerate(documents)
        ],
        "AttachedManagedPolicies": [],
        "InstanceProfileList": [],
        **more,
    }


def abilities(tmp_path: Path, deploying: dict[str, Any], *more: dict[str, Any]) -> dict[str, Any]:
    """What each role could do, in an account with the three roles and the deploy role's policy."""
    boundary = PLACE["deploy_boundary"]
    guard = repository_policy(
        {
            "partition": "aws",
            "account_id": "111122223333",
            "region": "eu-west-2",
            "pipeline_roles": [PLACE["pipeline_role"]],
            "administrator_roles": [PLACE["deploy_role"]],
            "pull_accounts": [],
            "pull_organization": "",
            "lambda_pull": False,
        }
    )
    account = {
        "UserDetailList": [],
        "GroupDetailList": [],
        "RoleDetailList": [
            role(
                PLACE["deploy_role"],
                trusting(github_subjects=["repo:example-org/registry:environment:registry"]),
                *more,
                AttachedManagedPolicies=[{"PolicyArn": boundary}],
                PermissionsBoundary={"PermissionsBoundaryArn": boundary},
            ),
            role(
                PLACE["preview_role"],
                trusting(github_subjects=["repo:example-org/registry:pull_request"]),
                preview_policy(PLACE, KEY),
            ),
            role(
                PLACE["pipeline_role"],
                # The pipeline role itself trusts the deploy role: the Deny has to hold alone.
                trusting(roles=[PLACE["deploy_role"]]),
                pipeline_role_policy(),
                PermissionsBoundary={"PermissionsBoundaryArn": PLACE["pipeline_boundary"]},
            ),
        ],
        "Policies": [
            {
                "Arn": arn,
                "DefaultVersionId": "v1",
                "PolicyVersionList": [{"VersionId": "v1", "Document": document}],
            }
            for arn, document in (
                (boundary, deploying),
                (PLACE["pipeline_boundary"], pipeline_boundary()),
                (PLACE["audit_boundary"], audit_boundary(PLACE)),
            )
        ],
    }
    (tmp_path / "account.json").write_text(json.dumps(account))
    (tmp_path / "guard.json").write_text(json.dumps(guard))
    asked = CliRunner().invoke(
        app,
        [
            "movers",
            *("--repository-arn", REPOSITORY),
            *("--repository-policy", str(tmp_path / "guard.json")),
            *("--authorization-details", str(tmp_path / "account.json")),
            "--json",
        ],
    )
    assert asked.exit_code == 0, asked.output
    return {
        it["principal"]: {
            ability: it[ability]["can"] for ability in ("moveTags", "deleteImages", "changeGuard")
        }
        for it in json.loads(asked.stdout)["principals"]
    }


EVERYTHING = {**NONE, "Statement": [{"Effect": "Allow", "Action": "*", "Resource": "*"}]}
ELSEWHERE: Place = {**PLACE, "pipeline_role": ""}
"""Where the stack names a pipeline role that it does not create."""


@pytest.mark.parametrize("more", [[], [EVERYTHING]], ids=["as it is", "given everything besides"])
def test_the_deploy_role_changes_the_guard_and_nothing_else(
    tmp_path: Path, more: list[dict[str, Any]]
) -> None:
    could = abilities(tmp_path, deploy_policy(ELSEWHERE, KEY), *more)
    assert could[PLACE["deploy_role"]] == {
        "moveTags": False,
        "deleteImages": False,
        "changeGuard": True,
    }
    assert not any(could[PLACE["preview_role"]].values())


def test_without_its_denies_it_could_become_the_pipeline(tmp_path: Path) -> None:
    whole = deploy_policy(ELSEWHERE, KEY)
    allows = [it for it in whole["Statement"] if it["Effect"] == "Allow"]
    could = abilities(tmp_path, {**whole, "Statement": [*allows, *EVERYTHING["Statement"]]})
    assert could[PLACE["deploy_role"]]["moveTags"]


def test_where_the_stack_creates_the_pipeline_role_it_may_also_say_who_becomes_it(
    tmp_path: Path,
) -> None:
    """Which docs/ci.md says. But it makes no more of that role than a pipeline."""
    could = abilities(tmp_path, deploy_policy(PLACE, KEY))
    assert could[PLACE["deploy_role"]] == {
        "moveTags": True,
        "deleteImages": False,
        "changeGuard": True,
    }


def test_a_pipeline_role_without_the_boundary_would_be_noticed(tmp_path: Path) -> None:
    whole = deploy_policy(PLACE, KEY)
    unbounded = [
        {key: value for key, value in it.items() if key != "Condition"} for it in whole["Statement"]
    ]
    could = abilities(tmp_path, {**whole, "Statement": unbounded})
    assert could[PLACE["deploy_role"]]["deleteImages"]


def test_a_role_of_the_audit_without_the_boundary_would_be_noticed(tmp_path: Path) -> None:
    """The deploy role creates it, and writes its policy and who becomes it."""
    whole = deploy_policy(ELSEWHERE, KEY)
    [bounded] = [it for it in whole["Statement"] if it["Sid"] == "ForwardingRole"]
    del bounded["Condition"]
    could = abilities(tmp_path, whole)
    assert could[PLACE["deploy_role"]]["deleteImages"]
