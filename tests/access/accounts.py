"""Accounts, as `aws iam get-account-authorization-details` prints them."""

from typing import Any

from container_images.access.account import account_of
from container_images.access.claims import guarded
from container_images.access.evaluation import Principal, Request, decide
from container_images.access.who_can import findings
from container_images.policies.repository_policy import Access, repository_policy

ACCOUNT = "111122223333"
OTHER = "444455556666"
IAM = f"arn:aws:iam::{ACCOUNT}:"
PIPELINE = f"{IAM}role/pipeline/push"
DEPLOY = f"{IAM}role/deploy"
PROJECT = f"arn:aws:codebuild:eu-west-2:{ACCOUNT}:project/push"
REPOSITORY = f"arn:aws:ecr:eu-west-2:{ACCOUNT}:repository/app"

Document = dict[str, Any]


def statement(effect: str, *actions: str, on: str | list[str] = "*", **more: Any) -> Document:
    return {"Effect": effect, "Action": list(actions), "Resource": on, **more}


def allow(*actions: str, on: str | list[str] = "*", **more: Any) -> Document:
    return statement("Allow", *actions, on=on, **more)


def deny(*actions: str, on: str | list[str] = "*", **more: Any) -> Document:
    return statement("Deny", *actions, on=on, **more)


def policy(*statements: Document) -> Document:
    return {"Version": "2012-10-17", "Statement": list(statements)}


def trust(principal: Any, action: str = "sts:AssumeRole", **more: Any) -> Document:
    return policy({"Effect": "Allow", "Principal": principal, "Action": action, **more})


NOBODY = policy()
THE_ACCOUNT = trust({"AWS": f"{IAM}root"})
CODEBUILD = trust(
    {"Service": "codebuild.amazonaws.com"},
    Condition={
        "ArnEquals": {"aws:SourceArn": [PROJECT]},
        "StringEquals": {"aws:SourceAccount": ACCOUNT},
    },
)


def role(
    name: str,
    *statements: Document,
    trusts: Document = NOBODY,
    boundary: str | None = None,
    managed: list[str] | None = None,
    profiles: int = 0,
) -> Document:
    """A role of the account; of another one where the name is an ARN."""
    return {
        "Arn": name if name.startswith("arn:") else f"{IAM}role/{name}",
        "RoleName": name.rpartition("/")[2],
        "AssumeRolePolicyDocument": trusts,
        "RolePolicyList": _inline(statements),
        "AttachedManagedPolicies": [{"PolicyArn": it} for it in managed or []],
        "InstanceProfileList": [{} for _ in range(profiles)],
        **_bounded(boundary),
    }


def user(
    name: str,
    *statements: Document,
    groups: list[str] | None = None,
    boundary: str | None = None,
) -> Document:
    return {
        "Arn": f"{IAM}user/{name}",
        "UserPolicyList": _inline(statements),
        "GroupList": groups or [],
        **_bounded(boundary),
    }


def group(name: str, *statements: Document) -> Document:
    return {
        "Arn": f"{IAM}group/{name}",
        "GroupName": name,
        "GroupPolicyList": _inline(statements),
    }


def managed(name: str, *statements: Document) -> Document:
    return {
        "Arn": f"{IAM}policy/{name}",
        "DefaultVersionId": "v2",
        "PolicyVersionList": [
            {"VersionId": "v2", "Document": policy(*statements)},
            {"VersionId": "v1", "Document": policy(allow("*"))},
        ],
    }


def _inline(statements: tuple[Document, ...]) -> list[Document]:
    return [{"PolicyName": "inline", "PolicyDocument": policy(*statements)}] if statements else []


def _bounded(arn: str | None) -> Document:
    return {"PermissionsBoundary": {"PermissionsBoundaryArn": arn}} if arn else {}


def details(*identities: Document) -> Document:
    """An account with these roles, users, groups and policies, beside those of the guard."""
    return {
        "UserDetailList": [it for it in identities if ":user/" in it["Arn"]],
        "GroupDetailList": [it for it in identities if ":group/" in it["Arn"]],
        "RoleDetailList": [it for it in identities if ":role/" in it["Arn"]],
        "Policies": [it for it in identities if ":policy/" in it["Arn"]],
    }


PIPELINE_ROLE = role("pipeline/push", allow("ecr:GetAuthorizationToken"), trusts=CODEBUILD)
DEPLOY_ROLE = role(
    "deploy", allow("ecr:*", "iam:*", on=["*"]), trusts=trust({"AWS": f"{IAM}role/admin"})
)


def access(**more: Any) -> Access:
    whole: Access = {
        "partition": "aws",
        "account_id": ACCOUNT,
        "region": "eu-west-2",
        "pipeline_roles": [PIPELINE],
        "administrator_roles": [DEPLOY],
        "pull_accounts": [OTHER],
        "pull_organization": "",
        "lambda_pull": False,
    }
    return {**whole, **more}  # type: ignore[typeddict-item]


GUARD = repository_policy(access())


def is_allowed(principal: Principal, request: Request) -> bool:
    return decide(principal, request) is not None


def able(account: Document, guard: Document = GUARD) -> list[str]:
    """Who could move a tag, without what the ARNs of the account begin with."""
    [found] = findings(account_of(account), [guarded(REPOSITORY, guard)])
    return [it.principal.replace(IAM, "") for it in found.principals if it.paths["moveTags"]]
