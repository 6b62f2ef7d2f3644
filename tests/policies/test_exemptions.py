"""Whom the Denies of a repository policy exempt, and when that is unknown."""

from typing import Any

import pytest

from container_images.policies.exemptions import exempted_roles, exemptions
from container_images.policies.repository_policy import Access, repository_policy

PUT = "ecr:PutImage"
ROLE, OTHER = (f"arn:aws:iam::111122223333:role/{name}" for name in ("ci/push", "other"))


def deny(*roles: str, operator: str = "ArnNotEquals", **elements: Any) -> dict[str, Any]:
    condition = {operator: {"aws:PrincipalArn": list(roles)}}
    return {"Effect": "Deny", "Principal": "*", "Action": [PUT], "Condition": condition, **elements}


INSECURE = deny(Action="ecr:*", Condition={"Bool": {"aws:SecureTransport": "false"}})


@pytest.mark.parametrize(
    ("statements", "roles"),
    [
        ([deny(ROLE)], {ROLE}),
        ([deny(ROLE, OTHER)], {ROLE, OTHER}),
        ([deny(Condition={"StringNotLike": {"AWS:principalARN": ROLE}})], {ROLE}),
        ([deny(ROLE, Action="ECR:put*", Principal={"AWS": ["*"]})], {ROLE}),
        (deny(ROLE), {ROLE}),
        # What several deny, only those may do whom all of them exempt.
        ([deny(ROLE, OTHER, Action="ecr:*"), deny(ROLE)], {ROLE}),
        ([deny(ROLE), deny(OTHER)], set()),
        # What is not decided exempts nobody, and takes no exemption away.
        ([INSECURE, deny(ROLE)], {ROLE}),
        ([INSECURE], set()),
        ([deny(ROLE, f"{OTHER}*")], set()),
        # About something else.
        ([deny(ROLE, Effect="Allow")], set()),
        ([deny(ROLE, Action=["ecr:SetRepositoryPolicy"])], set()),
        ([], set()),
        (None, set()),
    ],
)
def test_whom_the_denies_exempt(statements: Any, roles: set[str]) -> None:
    assert exempted_roles({"Statement": statements}, PUT) == roles


def test_the_guard_exempts_the_pipeline_and_the_administrators(access: Access) -> None:
    policy = repository_policy(access)
    assert exempted_roles(policy, PUT) == {*access["pipeline_roles"]}
    assert exempted_roles(policy, "ecr:DeleteRepository") == {*access["administrator_roles"]}


FORM = 'the one form that exempts roles and nobody else: Principal "*", no Resource, and one'
EXEMPT: dict[str, Any] = {"aws:PrincipalArn": ROLE}


@pytest.mark.parametrize(
    ("weak", "error"),
    [
        *((deny(ROLE, Principal={"AWS": who}), FORM) for who in (ROLE, ["*", ROLE])),
        (deny(ROLE, Principal={"AWS": "*", "Service": "x"}), FORM),
        (deny(ROLE, Resource="*"), FORM),
        (deny(Condition=None), FORM),
        (deny(Condition={"ArnNotEquals": EXEMPT | {"aws:SourceArn": "x"}}), FORM),
        (deny(Condition={"ArnNotEquals": EXEMPT, "Bool": {"aws:x": 0}}), FORM),
        (deny(), "exempts an empty list"),
        (deny(f"{ROLE}*"), "push*, which is not the exact ARN of one role"),
        (deny("arn:aws:iam::111122223333:root"), ":root, which is not the exact ARN of one role"),
        *((deny(ROLE, operator=name), FORM) for name in ("ArnEquals", "ArnNotEqualsIfExists")),
        (deny(Condition={"StringNotEquals": {"aws:PrincipalTag/ci": "x"}}), FORM),
    ],
)
def test_of_another_deny_it_is_unknown(weak: dict[str, Any], error: str) -> None:
    roles, [message] = exemptions({"Statement": [weak]}, [PUT])
    assert roles == {}
    assert message.startswith("statement 1 ")
    assert error in message
