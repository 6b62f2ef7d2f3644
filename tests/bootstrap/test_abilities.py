"""What the roles of CI could do to a repository, by the project's own evidence."""

from dataclasses import replace
from typing import Any

import pytest

from container_images.access.account import account_of
from container_images.access.claims import guarded
from container_images.access.who_can import findings
from container_images.bootstrap.permissions import (
    audit_boundary,
    deploy_policy,
    pipeline_boundary,
    preview_policy,
)
from container_images.policies.repository_policy import repository_policy
from container_images.policies.trust_policy import pipeline_role_policy, trust_policy
from tests.access.accounts import REPOSITORY, access, allow, details, managed, role
from tests.bootstrap.test_permissions import DELIVERY, KEY, trust

DEPLOY, PREVIEW = DELIVERY.ci_roles
PIPELINE = DELIVERY.iam_arn("role", DELIVERY.pipeline_role)
BOUNDARY = DELIVERY.iam_arn("policy", DELIVERY.deploy_role)
EVERYTHING = allow("*")
EXISTING = deploy_policy(replace(DELIVERY, pipeline_role=""), KEY)["Statement"]
"""The deploy role's policy where the stack creates no pipeline role."""


def trusting(**trusted: list[str]) -> dict[str, Any]:
    return trust_policy({**trust(), **trusted})  # type: ignore[typeddict-item]


def abilities(deploying: list[Any], *more: dict[str, Any]) -> dict[str, set[str]]:
    """What each role could do, in an account with the three roles and the deploy role's policy."""
    documents = {
        "": deploying,
        "-pipeline-boundary": pipeline_boundary()["Statement"],
        "-audit-boundary": audit_boundary(DELIVERY.location)["Statement"],
    }
    account = details(
        role(
            DEPLOY,
            *more,
            trusts=trusting(github_subjects=["repo:example-org/registry:environment:registry"]),
            boundary=BOUNDARY,
            managed=[BOUNDARY],
        ),
        role(
            PREVIEW,
            *preview_policy(DELIVERY, KEY)["Statement"],
            trusts=trusting(github_subjects=["repo:example-org/registry:pull_request"]),
        ),
        # The pipeline role itself trusts the deploy role: the Deny has to hold alone.
        role(
            PIPELINE,
            *pipeline_role_policy()["Statement"],
            trusts=trusting(roles=[DEPLOY]),
            boundary=f"{BOUNDARY}-pipeline-boundary",
        ),
        *(
            managed(f"platform/registry-deploy{suffix}", *statements)
            for suffix, statements in documents.items()
        ),
    )
    guard = repository_policy(access(pipeline_roles=[PIPELINE], administrator_roles=[DEPLOY]))
    [finding] = findings(account_of(account), [guarded(REPOSITORY, guard)])
    return {
        principal.principal: {ability for ability, path in principal.paths.items() if path}
        for principal in finding.principals
    }


@pytest.mark.parametrize(
    ("deploying", "more", "expected"),
    [
        (EXISTING, [], {"changeGuard"}),
        (EXISTING, [EVERYTHING], {"changeGuard"}),  # its policy is its boundary too
        # Where the stack creates the pipeline role it may also say who becomes it, which
        # docs/ci.md says. But it makes no more of that role than a pipeline.
        (deploy_policy(DELIVERY, KEY)["Statement"], [], {"moveTags", "changeGuard"}),
    ],
)
def test_the_deploy_role_changes_the_guard_and_nothing_else(
    deploying: list[Any], more: list[dict[str, Any]], expected: set[str]
) -> None:
    could = abilities(deploying, *more)
    assert could[DEPLOY] == expected
    assert could[PREVIEW] == set()


def test_what_holds_it_is_seen_to_be_missing() -> None:
    """The Denies; and the boundary of the audit's role, which it creates."""
    allows = [statement for statement in EXISTING if statement["Effect"] == "Allow"]
    assert "moveTags" in abilities([*allows, EVERYTHING])[DEPLOY]
    unbounded = [
        {key: statement[key] for key in statement if key != "Condition"} for statement in EXISTING
    ]
    assert "deleteImages" in abilities(unbounded)[DEPLOY]
