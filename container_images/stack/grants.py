"""Pure: what AWS's services have written into a repository policy or left behind in it."""

import json
import re
from collections.abc import Iterator, Sequence
from itertools import product
from typing import Final

from container_images.access.evaluation import Principal, Request, decide
from container_images.access.policy import Policy
from container_images.policies.ecr_actions import LAMBDA_PULL

_LAMBDA: Final = "service:lambda.amazonaws.com"
_CODEBUILD: Final = "service:codebuild.amazonaws.com"
_DELETED: Final = re.compile(r"A(ROA|IDA)[A-Z0-9]{16,}")
"""The unique id that IAM shows in place of a deleted role's or user's ARN.
https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_elements_principal.html"""


def lambda_accounts(policy: Policy, repository_arn: str) -> list[str]:
    """Ids of the accounts whose Lambda functions the grants of a repository policy let pull.

    Those are looked at that the conditions name, and the repository's own.
    https://docs.aws.amazon.com/lambda/latest/dg/images-create.html#gettingstarted-images-permissions
    """
    _, partition, _, region, own, _ = repository_arn.split(":", 5)
    to_lambda = (each for each in policy.statements if each.allows and _LAMBDA in each.principals)
    grants = Policy(tuple(to_lambda))
    functions = grants.compared("aws:sourcearn")
    named = " ".join([*functions, *grants.compared("aws:sourceaccount")])
    accounts = {own, *re.findall(r"\b\d{12}\b", named)}
    # A pattern may name one function; what counts is the account that it is in.
    names = {re.sub(r"[*?]", "x", function.partition(":function:")[2]) for function in functions}
    lets_pull = set[str]()
    for account, name in product(accounts, {"x", *names}):
        function = f"arn:{partition}:lambda:{region}:{account}:function:{name}"
        context = (("aws:sourceaccount", account), ("aws:sourcearn", function))
        caller = Principal(arn="", account="", named=_LAMBDA, context=context)
        requests = (
            Request(action=action, resource=repository_arn, account=own, policy=grants)
            for action in LAMBDA_PULL
        )
        if all(decide(caller, request) == () for request in requests):
            lets_pull.add(account)
    return sorted(lets_pull)


def service_remarks(policy: Policy, repository_arn: str, accounts: Sequence[str]) -> Iterator[str]:
    """What to know of a policy's grants to AWS's services and to principals that are gone.

    `accounts` are those whose Lambda functions may pull.
    https://docs.aws.amazon.com/codebuild/latest/userguide/sample-ecr.html
    """
    own = repository_arn.split(":")[4]
    allows = [statement for statement in policy.statements if statement.allows]
    principals = {name for statement in allows for name in statement.principals}
    others = [account for account in accounts if account != own]
    by_lambda = "LambdaECRImageRetrievalPolicy"
    wrote = own in accounts and by_lambda in {statement.label for statement in allows}
    deleted = sorted(filter(_DELETED.fullmatch, principals))
    if wrote:
        yield f"Lambda wrote statement {by_lambda} itself; lambdaPull replaces it"
    if _LAMBDA in principals and not accounts:
        yield (
            "Lambda may pull, but not for functions that are known to be this account's, so "
            "lambdaPull is not proposed; see the conditions of what is lost"
        )
    if others:
        yield f"Lambda functions of other accounts pull: lambdaPullAccounts: {json.dumps(others)}"
    if _CODEBUILD in principals:
        yield (
            "CodeBuild pulls by its own credentials, which no setting grants; let the projects use "
            "their service role (imagePullCredentialsType SERVICE_ROLE)"
        )
    if deleted:
        yield f"the policy names roles or users that have been deleted: {', '.join(deleted)}"
