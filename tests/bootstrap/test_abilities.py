"""What the roles of CI could do to a repository, by the project's own evidence."""

import json
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

DEPLOY, PREVIEW = DELIVERY.ci_roles
PIPELINE = DELIVERY.iam_arn("role", DELIVERY.pipeline_role)
BOUNDARY = DELIVERY.iam_arn("policy", DELIVERY.deploy_role)
EVERYTHING = {"Statement": [{"Effect": "Allow", "Action": "*", "Resource": "*"}]}


def role(
    arn: str, trusted: dict[str, list[str]], *documents: Any, bounded: str = "", attached: str = ""
) -> dict[str, Any]:
    boundary = {"PermissionsBoundary": {"PermissionsBoundaryArn": bounded}} if bounded else {}
    return {
        "Arn": arn,
        "RoleName": arn.rpartition("/")[2],
        "AssumeRolePolicyDocument": trust_policy({**trust(), **trusted}),  # type: ignore[typeddict-item]
        "RolePolicyList": [
            {"PolicyName": str(number), "PolicyDocument": document}
            for number, document in enumerate(documents)
        ],
        "AttachedManagedPolicies": [{"PolicyArn": attached}] if attached else [],
        "InstanceProfileList": [],
        **boundary,
    }


def abilities(folder: Path, deploying: dict[str, Any], *more: dict[str, Any]) -> dict[str, Any]:
    """What each role could do, in an account with the three roles and the deploy role's policy."""
    live = ["repo:example-org/registry:environment:registry"]
    deploy = role(DEPLOY, {"github_subjects": live}, *more, bounded=BOUNDARY, attached=BOUNDARY)
    requests = ["repo:example-org/registry:pull_request"]
    preview = role(PREVIEW, {"github_subjects": requests}, preview_policy(DELIVERY, KEY))
    # The pipeline role itself trusts the deploy role: the Deny has to hold alone.
    bounded = f"{BOUNDARY}-pipeline-boundary"
    pipeline = role(PIPELINE, {"roles": [DEPLOY]}, pipeline_role_policy(), bounded=bounded)
    managed = {
        BOUNDARY: deploying,
        bounded: pipeline_boundary(),
        f"{BOUNDARY}-audit-boundary": audit_boundary(DELIVERY.location),
    }
    account = {
        "UserDetailList": [],
        "GroupDetailList": [],
        "RoleDetailList": [deploy, preview, pipeline],
        "Policies": [
            {
                "Arn": arn,
                "DefaultVersionId": "v1",
                "PolicyVersionList": [{"VersionId": "v1", "Document": document}],
            }
            for arn, document in managed.items()
        ],
    }
    guard = repository_policy(
        {
            **DELIVERY.location,
            "pipeline_roles": [PIPELINE],
            "administrator_roles": [DEPLOY],
            "pull_accounts": [],
            "pull_organization": "",
            "lambda_pull": False,
            "lambda_pull_accounts": [],
        }
    )
    options = ["--repository-arn", "arn:aws:ecr:eu-west-2:111122223333:repository/app"]
    for option, document in (("repository-policy", guard), ("authorization-details", account)):
        file = folder / f"{option}.json"
        file.write_text(json.dumps(document))
        options += [f"--{option}", str(file)]
    result = CliRunner().invoke(app, ["who-can", *options, "--json"])
    assert result.exit_code == 0, result.output
    return {
        principal["principal"]: {
            ability
            for ability in ("moveTags", "deleteImages", "changeGuard")
            if principal[ability]["can"]
        }
        for principal in json.loads(result.stdout)["repositories"][0]["principals"]
    }


def of_an_existing_pipeline_role() -> dict[str, Any]:
    """The deploy role's policy where the stack creates no pipeline role."""
    return deploy_policy(replace(DELIVERY, pipeline_role=""), KEY)


@pytest.mark.parametrize("more", [[], [EVERYTHING]], ids=["as it is", "given everything besides"])
def test_the_deploy_role_changes_the_guard_and_nothing_else(
    tmp_path: Path, more: list[dict[str, Any]]
) -> None:
    could = abilities(tmp_path, of_an_existing_pipeline_role(), *more)
    assert could[DEPLOY] == {"changeGuard"}
    assert could[PREVIEW] == set()


def test_where_the_stack_creates_the_pipeline_role_it_may_also_say_who_becomes_it(
    tmp_path: Path,
) -> None:
    """Which docs/ci.md says. But it makes no more of that role than a pipeline."""
    assert abilities(tmp_path, deploy_policy(DELIVERY, KEY))[DEPLOY] == {"moveTags", "changeGuard"}


def test_what_holds_it_is_seen_to_be_missing(tmp_path: Path) -> None:
    """The Denies; and the boundary of the audit's role, which it creates."""
    statements = of_an_existing_pipeline_role()["Statement"]
    allows = [statement for statement in statements if statement["Effect"] == "Allow"]
    could = abilities(tmp_path, {"Statement": [*allows, *EVERYTHING["Statement"]]})
    assert "moveTags" in could[DEPLOY]
    unbounded = [
        {key: statement[key] for key in statement if key != "Condition"} for statement in statements
    ]
    could = abilities(tmp_path, {"Version": "2012-10-17", "Statement": unbounded})
    assert "deleteImages" in could[DEPLOY]
