"""What a repository policy says: whose Lambda functions may pull, and what AWS's services wrote."""

import json
from typing import Any

import pytest

from container_images.stack.statements import (
    lambda_accounts,
    service_remarks,
    statements_by_meaning,
)
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
    (from_lambda({"StringLike": {"aws:sourceArn": functions(OWN)}}), [OWN]),
    (from_lambda({"ArnLike": {"aws:SourceArn": [functions(OWN, "web"), functions(OTHER)]}}),
     [OWN, OTHER]),
    (from_lambda({"ArnEquals": {"aws:SourceArn": functions(OTHER, "web-*:live")}}), [OTHER]),
    (from_lambda({"StringEquals": {"aws:SourceArn": functions(OWN, "web")}}), [OWN]),
    (from_lambda({"StringEquals": {"aws:SourceAccount": [OTHER, THIRD]}}), [OTHER, THIRD]),
    (from_lambda({"StringLike": {"aws:SourceArn": "arn:aws:lambda:*:*:function:*"}}), [OWN]),
    (from_lambda({"StringLike": {"aws:SourceArn": "*"},
                  "StringEquals": {"aws:SourceAccount": OTHER}}), [OTHER]),
    # Both conditions have to be met, and no account meets them.
    (from_lambda({"ArnLike": {"aws:SourceArn": functions(OWN)},
                  "StringEquals": {"aws:SourceAccount": OTHER}}), []),
    # To StringEquals a * is a character.
    (from_lambda({"StringEquals": {"aws:SourceArn": functions(OWN)}}), []),
    # A function's images are in its own Region.
    (from_lambda({"ArnLike": {"aws:SourceArn": functions(OWN, region="eu-west-1")}}), []),
    (from_lambda({"StringNotEquals": {"aws:SourceAccount": OTHER}}), []),
    (from_lambda({"StringEquals": {"aws:SourceOrgID": "o-exampleorgid"}}), []),
    (from_lambda(Action="ecr:*"), [OWN]),
    (from_lambda(Action="ecr:BatchGetImage"), []),
    (from_lambda(Effect="Deny"), []),
    (from_lambda(Principal={"Service": ["ecs.amazonaws.com", "lambda.amazonaws.com"]}), [OWN]),
    (from_lambda(Principal={"AWS": OTHER}), []),
]  # fmt: skip


@pytest.mark.parametrize(("statement", "accounts"), CASES, ids=str)
def test_whose_functions_may_pull(statement: dict[str, Any], accounts: list[str]) -> None:
    assert lambda_accounts(policy(statement), BARE.arn) == accounts
    unknown = any(
        "Lambda may pull, but" in it for it in service_remarks(policy(statement), BARE.arn)
    )
    is_lambdas = "lambda.amazonaws.com" in str(statement["Principal"])
    assert unknown is (is_lambdas and statement["Effect"] == "Allow" and not accounts)


def test_statements_of_two_accounts_add_up() -> None:
    both = policy(from_lambda(), from_lambda({"StringEquals": {"aws:SourceAccount": OTHER}}))
    assert lambda_accounts(both, BARE.arn) == [OWN, OTHER]
    assert lambda_accounts(None, BARE.arn) == []


def test_what_codebuild_and_deleted_principals_leave_behind() -> None:
    codebuild = from_lambda(Principal={"Service": "codebuild.amazonaws.com"})
    [remark] = service_remarks(policy(codebuild), BARE.arn)
    assert "SERVICE_ROLE" in remark
    deleted = from_lambda(
        Principal={"AWS": ["AROAEXAMPLEEXAMPLEEX1", "AIDAEXAMPLEEXAMPLEEX2", OWN]}
    )
    [remark] = service_remarks(policy(deleted), BARE.arn)
    assert remark.endswith("deleted: AIDAEXAMPLEEXAMPLEEX2, AROAEXAMPLEEXAMPLEEX1")


@pytest.mark.parametrize(
    "rewritten",
    [
        {"Principal": {"AWS": OTHER}},
        {"Principal": {"AWS": [f"arn:aws:iam::{OTHER}:root"]}},
        {"Action": ["ecr:PutImage", "ecr:BatchGetImage"]},
        {"Condition": {"Bool": {"aws:SecureTransport": ["true"]}}},
    ],
    ids=str,
)
def test_a_statement_is_known_by_what_it_means(rewritten: dict[str, Any]) -> None:
    """ECR may write a list of one as a text, and an account by its id."""
    statement = {
        "Effect": "Allow",
        "Principal": {"AWS": f"arn:aws:iam::{OTHER}:root"},
        "Action": ["ecr:BatchGetImage", "ecr:PutImage"],
        "Condition": {"Bool": {"aws:SecureTransport": "true"}},
    }
    same = statements_by_meaning(policy(statement | rewritten))
    assert same.keys() == statements_by_meaning(policy(statement)).keys()
    other = statements_by_meaning(policy(statement | {"Action": "ecr:PutImage"}))
    assert same.keys() != other.keys()


def test_a_statement_is_written_out_whole_after_its_name() -> None:
    named, unnamed = {"Sid": "Pull", "Effect": "Allow"}, {"Effect": "Deny"}
    assert set(statements_by_meaning(policy(named, unnamed)).values()) == {
        "version 2012-10-17",
        f"statement Pull: {json.dumps(named)}",
        f"statement 2: {json.dumps(unnamed)}",
    }
