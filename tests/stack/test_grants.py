"""Whose Lambda functions a repository policy lets pull, and what AWS's services left in it."""

import json
from typing import Any

import pytest

from container_images.access.policy import parse
from container_images.stack.grants import lambda_accounts, service_remarks
from tests.stack.conftest import BARE, policy

OWN, OTHER, THIRD = "111122223333", "444455556666", "777788889999"


def functions(account: str, name: str = "*", region: str = "eu-west-2") -> str:
    return f"arn:aws:lambda:{region}:{account}:function:{name}"


def from_lambda(condition: dict[str, Any] | None = None, **elements: Any) -> dict[str, Any]:
    statement = {
        "Sid": "LambdaECRImageRetrievalPolicy",
        "Effect": "Allow",
        "Principal": {"Service": "lambda.amazonaws.com"},
        "Action": ["ecr:BatchGetImage", "ecr:GetDownloadUrlForLayer", "ecr:SetRepositoryPolicy"],
    }
    return statement | ({"Condition": condition} if condition else {}) | elements


CASES: list[tuple[dict[str, Any], list[str]]] = [
    (from_lambda(), [OWN]),
    (from_lambda({"ArnLike": {"aws:SourceArn": [functions(OWN, "web"), functions(OTHER)]}}),
     [OWN, OTHER]),
    (from_lambda({"ArnEquals": {"aws:SourceArn": functions(OTHER, "web-*:live")}}), [OTHER]),
    (from_lambda({"StringEquals": {"aws:SourceAccount": [OTHER, THIRD]}}), [OTHER, THIRD]),
    (from_lambda({"StringLike": {"aws:SourceArn": "*"},
                  "StringEquals": {"aws:SourceAccount": OTHER}}), [OTHER]),
    # Both conditions have to be met, and no account meets them.
    (from_lambda({"ArnLike": {"aws:SourceArn": functions(OWN)},
                  "StringEquals": {"aws:SourceAccount": OTHER}}), []),
    # A function's images are in its own Region.
    (from_lambda({"ArnLike": {"aws:SourceArn": functions(OWN, region="eu-west-1")}}), []),
    (from_lambda({"StringNotEquals": {"aws:SourceAccount": OTHER}}), [OWN]),
    (from_lambda({"StringEquals": {"aws:SourceOrgID": "o-exampleorgid"}}), []),
    (from_lambda(Action="ecr:BatchGetImage"), []),
    (from_lambda(Effect="Deny"), []),
    (from_lambda(Principal={"Service": ["ecs.amazonaws.com", "lambda.amazonaws.com"]}), [OWN]),
    (from_lambda(Principal={"AWS": OTHER}), []),
]  # fmt: skip


@pytest.mark.parametrize(("statement", "accounts"), CASES, ids=str)
def test_whose_functions_may_pull(statement: dict[str, Any], accounts: list[str]) -> None:
    grants = parse(policy(statement))
    assert lambda_accounts(grants, BARE.arn) == accounts
    remarks = " ".join(service_remarks(grants, BARE.arn, accounts))
    is_lambdas = "lambda" in str(statement["Principal"]) and statement["Effect"] == "Allow"
    assert ("Lambda may pull, but" in remarks) is (is_lambdas and not accounts)
    others = [account for account in accounts if account != OWN]
    assert (f"lambdaPullAccounts: {json.dumps(others)}" in remarks) is bool(others)


def test_only_what_is_granted_to_lambda_counts() -> None:
    insecure = {"Bool": {"aws:SecureTransport": "false"}}
    deny = {"Effect": "Deny", "Principal": "*", "Action": "ecr:*", "Condition": insecure}
    assert lambda_accounts(parse(policy(from_lambda(), deny)), BARE.arn) == [OWN]
    assert lambda_accounts(parse(policy(from_lambda(Principal="*"), deny)), BARE.arn) == []


@pytest.mark.parametrize(
    ("principal", "remark"),
    [
        ({"Service": "codebuild.amazonaws.com"}, "(imagePullCredentialsType SERVICE_ROLE)"),
        (
            {"AWS": ["AROAEXAMPLEEXAMPLEEX1", "AIDAEXAMPLEEXAMPLEEX2", OWN]},
            "deleted: AIDAEXAMPLEEXAMPLEEX2, AROAEXAMPLEEXAMPLEEX1",
        ),
    ],
)
def test_what_codebuild_and_deleted_principals_leave_behind(
    principal: dict[str, Any], remark: str
) -> None:
    grants = parse(policy(from_lambda(Principal=principal)))
    [text] = service_remarks(grants, BARE.arn, [])
    assert text.endswith(remark)
