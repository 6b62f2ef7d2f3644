"""What the roles of CI could do to a registry, by the project's own evidence: `registry movers`."""

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from container_images.bootstrap.permissions import (
    audit_boundary,
    deploy_policy,
    pipeline_boundary,
    preview_policy,
)
from container_images.cli.app import app
from container_images.policies.repository_policy import repository_policy
from container_images.policies.trust_policy import pipeline_role_policy, trust_policy
from tests.bootstrap.test_permissions import DELIVERY, KEY, trust

REPOSITORY = "arn:aws:ecr:eu-west-2:111122223333:repository/app"
NONE: dict[str, Any] = {"Version": "2012-10-17", "Statement": []}


DEPLOY, PREVIEW = DELIVERY.ci_roles
PIPELINE = DELIVERY.iam_arn("role", DELIVERY.pipeline_role)
BOUNDARY = DELIVERY.iam_arn("policy", DELIVERY.deploy_role)


def trusting(*, subjects: Sequence[str] = (), roles: Sequence[str] = ()) -> dict[str, Any]:
    return trust_policy({**trust(), "github_subjects": list(subjects), "roles": list(roles)})


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
    boundary = BOUNDARY
    guard = repository_policy(
        {
            "partition": "aws",
            "account_id": "111122223333",
            "region": "eu-west-2",
            "pipeline_roles": [PIPELINE],
            "administrator_roles": [DEPLOY],
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
                DEPLOY,
                trusting(subjects=["repo:example-org/registry:environment:registry"]),
                *more,
                AttachedManagedPolicies=[{"PolicyArn": boundary}],
                PermissionsBoundary={"PermissionsBoundaryArn": boundary},
            ),
            role(
                PREVIEW,
                trusting(subjects=["repo:example-org/registry:pull_request"]),
                preview_policy(DELIVERY, KEY),
            ),
            role(
                PIPELINE,
                # The pipeline role itself trusts the deploy role: the Deny has to hold alone.
                trusting(roles=[DEPLOY]),
                pipeline_role_policy(),
                PermissionsBoundary={"PermissionsBoundaryArn": f"{BOUNDARY}-pipeline-boundary"},
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
                (f"{BOUNDARY}-pipeline-boundary", pipeline_boundary()),
                (f"{BOUNDARY}-audit-boundary", audit_boundary(DELIVERY.location)),
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
ELSEWHERE = replace(DELIVERY, pipeline_role="")
"""Where the stack names a pipeline role that it does not create."""


@pytest.mark.parametrize("more", [[], [EVERYTHING]], ids=["as it is", "given everything besides"])
def test_the_deploy_role_changes_the_guard_and_nothing_else(
    tmp_path: Path, more: list[dict[str, Any]]
) -> None:
    could = abilities(tmp_path, deploy_policy(ELSEWHERE, KEY), *more)
    assert could[DEPLOY] == {
        "moveTags": False,
        "deleteImages": False,
        "changeGuard": True,
    }
    assert not any(could[PREVIEW].values())


def test_without_its_denies_it_could_become_the_pipeline(tmp_path: Path) -> None:
    whole = deploy_policy(ELSEWHERE, KEY)
    allows = [it for it in whole["Statement"] if it["Effect"] == "Allow"]
    could = abilities(tmp_path, {**whole, "Statement": [*allows, *EVERYTHING["Statement"]]})
    assert could[DEPLOY]["moveTags"]


def test_where_the_stack_creates_the_pipeline_role_it_may_also_say_who_becomes_it(
    tmp_path: Path,
) -> None:
    """Which docs/ci.md says. But it makes no more of that role than a pipeline."""
    could = abilities(tmp_path, deploy_policy(DELIVERY, KEY))
    assert could[DEPLOY] == {
        "moveTags": True,
        "deleteImages": False,
        "changeGuard": True,
    }


def test_a_pipeline_role_without_the_boundary_would_be_noticed(tmp_path: Path) -> None:
    whole = deploy_policy(DELIVERY, KEY)
    unbounded = [
        {key: value for key, value in it.items() if key != "Condition"} for it in whole["Statement"]
    ]
    could = abilities(tmp_path, {**whole, "Statement": unbounded})
    assert could[DEPLOY]["deleteImages"]


def test_a_role_of_the_audit_without_the_boundary_would_be_noticed(tmp_path: Path) -> None:
    """The deploy role creates it, and writes its policy and who becomes it."""
    whole = deploy_policy(ELSEWHERE, KEY)
    [bounded] = [it for it in whole["Statement"] if it["Sid"] == "ForwardingRole"]
    del bounded["Condition"]
    could = abilities(tmp_path, whole)
    assert could[DEPLOY]["deleteImages"]
