"""Accounts, as `aws iam get-account-authorization-details` prints them."""

from collections.abc import Sequence
from typing import Any

from container_images.access.account import account_of
from container_images.access.claims import guarded
from container_images.access.evaluation import Principal, Request, decide
from container_images.access.policy import parse
from container_images.access.who_can import Findings, findings
from container_images.policies.repository_policy import repository_policy
from tests.builds import access

ACCOUNT = "111122223333"
OTHER = "444455556666"
IAM = f"arn:aws:iam::{ACCOUNT}:"
PIPELINE = f"{IAM}role/pipeline/push"
DEPLOY = f"{IAM}role/deploy"
PROJECT = f"arn:aws:codebuild:eu-west-2:{ACCOUNT}:project/push"
REPOSITORY = f"arn:aws:ecr:eu-west-2:{ACCOUNT}:repository/app"

Document = dict[str, Any]


def allow(*actions: str, on: str | list[str] = "*", **more: Any) -> Document:
    return {"Effect": "Allow", "Action": list(actions), "Resource": on, **more}


def deny(*actions: str, on: str | list[str] = "*", **more: Any) -> Document:
    return allow(*actions, on=on, **more) | {"Effect": "Deny"}


def policy(*statements: Document) -> Document:
    return {"Version": "2012-10-17", "Statement": list(statements)}


def trust(principal: Any, action: str = "sts:AssumeRole", **more: Any) -> Document:
    return policy({"Effect": "Allow", "Principal": principal, "Action": action, **more})


def where(operator: str, key: str, *values: Any) -> Document:
    """The condition of a statement."""
    return {"Condition": {operator: {key: list(values)}}}


def service(name: str, **more: Any) -> Document:
    """The trust policy of a service's role."""
    return trust({"Service": f"{name}.amazonaws.com"}, **more)


NOBODY = policy()
THE_ACCOUNT = trust({"AWS": f"{IAM}root"})
CODEBUILD = service(
    "codebuild",
    Condition={
        "ArnEquals": {"aws:SourceArn": [PROJECT]},
        "StringEquals": {"aws:SourceAccount": ACCOUNT},
    },
)


def _held(arn: str, kind: str, statements: tuple[Document, ...], boundary: str | None) -> Document:
    inline = [{"PolicyName": "inline", "PolicyDocument": policy(*statements)}] if statements else []
    bounded = {"PermissionsBoundary": {"PermissionsBoundaryArn": boundary}} if boundary else {}
    return {"Arn": arn, f"{kind}PolicyList": inline, **bounded}


def role(
    name: str,
    *statements: Document,
    trusts: Document = NOBODY,
    boundary: str | None = None,
    managed: Sequence[str] = (),
) -> Document:
    """A role of the account; of another one where the name is an ARN."""
    arn = name if name.startswith("arn:") else f"{IAM}role/{name}"
    attached = [{"PolicyArn": arn} for arn in managed]
    more = {"AssumeRolePolicyDocument": trusts, "AttachedManagedPolicies": attached}
    return _held(arn, "Role", statements, boundary) | more


def user(
    name: str, *statements: Document, groups: Sequence[str] = (), boundary: str | None = None
) -> Document:
    return _held(f"{IAM}user/{name}", "User", statements, boundary) | {"GroupList": groups}


def group(name: str, *statements: Document) -> Document:
    return _held(f"{IAM}group/{name}", "Group", statements, None) | {"GroupName": name}


def managed(name: str, *statements: Document) -> Document:
    """A managed policy, whose older version allowed everything."""
    versions = {"v2": policy(*statements), "v1": policy(allow("*"))}
    return {
        "Arn": f"{IAM}policy/{name}",
        "DefaultVersionId": "v2",
        "PolicyVersionList": [
            {"VersionId": version, "Document": document} for version, document in versions.items()
        ],
    }


def details(*listed: Document) -> Document:
    """An account with these roles, users, groups and managed policies alone."""
    return {
        key: [each for each in listed if f":{kind}/" in each["Arn"]]
        for key, kind in (
            ("UserDetailList", "user"),
            ("GroupDetailList", "group"),
            ("RoleDetailList", "role"),
            ("Policies", "policy"),
        )
    }


PIPELINE_ROLE = role("pipeline/push", allow("ecr:GetAuthorizationToken"), trusts=CODEBUILD)


GUARD = repository_policy(access())


def is_allowed(principal: Principal, request: Request) -> bool:
    return decide(principal, request) is not None


def ask(
    *listed: Document,
    guard: Document = GUARD,
    scps: Sequence[Document] = (),
    arns: Sequence[str] = (REPOSITORY,),
) -> list[Findings]:
    """What is found in an account of these alone."""
    repositories = [guarded(arn, guard) for arn in arns]
    return findings(account_of(details(*listed)), repositories, tuple(map(parse, scps)))


def able(*listed: Document, **more: Any) -> list[str]:
    """Who could move a tag, without what the ARNs of the account begin with."""
    [of_repository] = ask(*listed, **more)
    rows = of_repository.principals.items()
    return [principal.replace(IAM, "") for principal, paths in rows if paths["moveTags"]]
