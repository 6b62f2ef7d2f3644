"""The oracle on examples of AWS's pages."""

from typing import Any

import pytest

from tests.access.accounts import ACCOUNT, IAM, OTHER, REPOSITORY, allow, deny, policy
from tests.access.finite_iam import Caller, anybody, possible

PUSH = "ecr:PutImage"
ROLE, USER = f"{IAM}role/team/amy", f"{IAM}user/amy"
FOREIGN = f"arn:aws:iam::{OTHER}:role/amy"


def may(
    *statements: Any,
    arn: str | None = ROLE,
    lets: list[Any] | None = None,
    boundary: Any = None,
    scps: Any = (),
) -> bool:
    account, own = arn and arn.split(":")[4], [policy(*statements)]
    caller = Caller(arn=arn, account=account, policies=own, boundary=boundary, scps=scps)
    repository = None if lets is None else policy(*lets)
    return possible(caller, PUSH, REPOSITORY, account=ACCOUNT, policy=repository)


def grant(effect: str, principal: Any, **condition: Any) -> Any:
    return {"Effect": effect, "Principal": principal, "Action": PUSH, "Condition": condition}


SAVE = grant("Deny", "*", ArnNotEquals={"aws:PrincipalArn": ROLE})
NARROW = policy(allow("s3:*"))
OFFICE = {"StringEquals": {"aws:SourceVpc": "vpc-a"}}
ELSEWHERE = {"StringNotEquals": {"aws:SourceVpc": "vpc-a"}}


@pytest.mark.parametrize(
    ("statements", "more", "allowed"),
    [
        ([], {}, False),
        ([allow("ECR:put*")], {}, True),
        ([allow("*"), deny(PUSH)], {}, False),
        ([allow("*", on=f"{REPOSITORY}2")], {}, False),
        ([{"Effect": "Allow", "NotAction": "iam:*", "NotResource": "arn:aws:s3:::*"}], {}, True),
        ([], {"lets": [grant("Allow", {"AWS": ROLE})]}, True),
        ([], {"lets": [grant("Allow", {"AWS": ACCOUNT})]}, False),
        ([allow("*")], {"arn": FOREIGN}, False),
        ([allow("*")], {"arn": FOREIGN, "lets": [grant("Allow", {"AWS": OTHER})]}, True),
        ([], {"arn": FOREIGN, "lets": [grant("Allow", "*")]}, False),
        ([], {"arn": None, "lets": [grant("Allow", "*")]}, True),
        ([], {"arn": None, "lets": [grant("Allow", "*"), SAVE]}, False),
        ([allow("*")], {"lets": [SAVE]}, True),
        ([allow("*")], {"arn": USER, "lets": [SAVE]}, False),
        ([allow("*")], {"boundary": NARROW}, False),
        ([], {"boundary": NARROW, "lets": [grant("Allow", {"AWS": ROLE})]}, False),
        ([], {"boundary": NARROW, "lets": [grant("Allow", "*")]}, True),
        ([], {"arn": USER, "boundary": NARROW, "lets": [grant("Allow", {"AWS": USER})]}, True),
        ([allow("*")], {"scps": [[policy(allow("*"))], [NARROW]]}, False),
        ([allow(PUSH, Condition=OFFICE), deny(PUSH, Condition=ELSEWHERE)], {}, True),
        ([allow(PUSH, Condition=OFFICE), deny(PUSH, Condition=OFFICE)], {}, False),
        ([allow(PUSH), deny(PUSH, Condition=OFFICE), deny(PUSH, Condition=ELSEWHERE)], {}, False),
        ([allow(PUSH, Condition={"Null": {"aws:SourceVpc": "true"}})], {}, True),
        ([allow(PUSH), deny(PUSH, Condition={"StringNotLike": {"aws:x": "*"}})], {}, True),
        ([allow(PUSH, Condition={"StringLike": {"aws:PrincipalArn": f"{IAM}user/*"}})], {}, False),
    ],
)
def test_what_awss_pages_say(statements: list[Any], more: dict[str, Any], *, allowed: bool) -> None:
    assert may(*statements, **more) is allowed


def test_anybody_is_one_of_each_that_a_policy_tells_apart() -> None:
    more: Any = {"resource": REPOSITORY, "account": ACCOUNT, "policy": policy(SAVE)}
    assert anybody([PUSH], besides=[ROLE], **more) is None
    assert anybody([PUSH], besides=[], **more) == (ROLE, PUSH)
