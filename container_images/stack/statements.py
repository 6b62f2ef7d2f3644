"""Pure: the statements of a repository policy, whoever wrote them.

https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_elements.html
"""

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any, Final

from container_images.policies.document import listed, names_action, statements_in
from container_images.policies.ecr_actions import LAMBDA_PULL
from container_images.policies.patterns import iam_glob

Statement = Mapping[str, Any]


def statements_by_meaning(policy: str | None) -> dict[str, str]:
    """Each statement as it is, after its name, under what it means; the order does not count.

    The version of the policy language changes what a statement means, so it counts as a part:
    https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_elements_version.html
    """
    if policy is None:
        return {}
    version = f"version {json.loads(policy).get('Version', '2008-10-17')}"
    parts = {version: version}
    for number, statement in enumerate(_statements(policy), start=1):
        name = f"statement {statement.get('Sid') or number}"
        parts[_meaning(statement)] = f"{name}: {json.dumps(statement)}"
    return dict(sorted(parts.items()))


def _statements(policy: str | None) -> list[dict[str, Any]]:
    return statements_in(json.loads(policy)) if policy else []


_ROOT: Final = re.compile(r"arn:[a-z-]+:iam::(\d{12}):root")


def _principals(written: Any) -> list[tuple[str, str]]:
    """Whom a Principal element names, by kind and name. An account is named by its id."""
    by_kind = written if isinstance(written, dict) else {"AWS": written}
    return sorted(
        {
            (kind, _ROOT.sub(r"\1", name))
            for kind, names in by_kind.items()
            for name in listed(names)
        }
    )


def _meaning(statement: Statement) -> str:
    """The same text for all ways in which ECR may hand a statement back.

    A list of one entry may be a text, and an account's root its id; the order does not count.
    """
    plain = {
        key: _principals(value) if key in {"Principal", "NotPrincipal"} else _sorted(value)
        for key, value in statement.items()
    }
    return json.dumps(plain, sort_keys=True)


def _sorted(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _sorted(part) for key, part in value.items()}
    return sorted({part if isinstance(part, str) else json.dumps(part) for part in listed(value)})


# --- What AWS's services write --------------------------------------------------------------------


def lambda_accounts(policy: str | None, repository_arn: str) -> list[str]:
    """Ids of the accounts whose Lambda functions a repository policy lets pull.

    Accounts that no condition names are left out, but for the repository's own. So are those of a
    statement with a condition of another kind than Lambda writes: whom it covers is not known.
    https://docs.aws.amazon.com/lambda/latest/dg/images-create.html#gettingstarted-images-permissions
    """
    return sorted(
        {
            account
            for statement in _statements(policy)
            if statement.get("Effect") == "Allow"
            and _LAMBDA in _principals(statement.get("Principal", {}))
            and all(names_action(statement.get("Action"), action) for action in LAMBDA_PULL)
            for account in _function_accounts(statement, repository_arn)
        }
    )


_LAMBDAS_OWN: Final = "LambdaECRImageRetrievalPolicy"
_LAMBDA: Final = ("Service", "lambda.amazonaws.com")
_CODEBUILD: Final = ("Service", "codebuild.amazonaws.com")


def _function_accounts(statement: Statement, repository_arn: str) -> Iterator[str]:
    """The accounts whose functions can meet all conditions of a statement."""
    _, partition, _, region, own, _ = repository_arn.split(":", 5)
    conditions = [
        (operator, key.lower(), value if isinstance(value, list) else [value])
        for operator, keys in statement.get("Condition", {}).items()
        for key, value in keys.items()
    ]
    for account in {own, *re.findall(r"\b\d{12}\b", json.dumps(conditions))}:
        function = f"arn:{partition}:lambda:{region}:{account}:function:"
        if all(_is_met(*condition, account, function) for condition in conditions):
            yield account


def _is_met(operator: str, key: str, values: list[str], account: str, function: str) -> bool:
    """Whether some function of an account can meet one condition."""
    for value in values:
        # A pattern may name one function; what counts is the account that it is in.
        name = re.sub(r"[*?]", "x", value.partition(":function:")[2] or "x")
        requested = {"aws:sourceaccount": account, "aws:sourcearn": f"{function}{name}"}.get(key)
        if requested is None:
            return False
        if operator == "StringEquals" and value == requested:
            return True
        if operator in {"StringLike", "ArnLike", "ArnEquals"} and iam_glob(value, requested):
            return True
    return False


def service_remarks(policy: str | None, repository_arn: str) -> Iterator[str]:
    """What to know of a policy whose statements AWS's services have written or left behind.

    https://docs.aws.amazon.com/codebuild/latest/userguide/sample-ecr.html
    """
    own = repository_arn.split(":")[4]
    granting = [each for each in _statements(policy) if each.get("Effect") == "Allow"]
    principals = {who for each in granting for who in _principals(each.get("Principal", {}))}
    accounts = lambda_accounts(policy, repository_arn)
    if own in accounts and any(each.get("Sid") == _LAMBDAS_OWN for each in granting):
        yield f"Lambda wrote statement {_LAMBDAS_OWN} itself; lambdaPull replaces it"
    if _LAMBDA in principals and not accounts:
        yield (
            "Lambda may pull, but not for functions that are known to be this account's, so "
            "lambdaPull is not proposed; see the conditions of what is lost"
        )
    if others := [account for account in accounts if account != own]:
        yield f"Lambda functions of other accounts pull: lambdaPullAccounts: {json.dumps(others)}"
    if _CODEBUILD in principals:
        yield (
            "CodeBuild pulls by its own credentials, which no setting grants; let the projects use "
            "their service role (imagePullCredentialsType SERVICE_ROLE)"
        )
    if deleted := [name for _, name in sorted(principals) if _DELETED.fullmatch(name)]:
        yield f"the policy names roles or users that have been deleted: {', '.join(deleted)}"


_DELETED: Final = re.compile(r"A(ROA|IDA)[A-Z0-9]{16,}")
"""The unique id that IAM shows in place of a deleted role's or user's ARN.
https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_elements_principal.html"""
