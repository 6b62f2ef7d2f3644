import re

import pytest
from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    CredentialRetrievalError,
    EndpointConnectionError,
    ReadTimeoutError,
    SSOTokenLoadError,
)

from container_images.aws.errors import explain


def error(code: str, message: str = "because", status: int = 400) -> ClientError:
    metadata = {"HTTPStatusCode": status}
    problem = {"Error": {"Code": code, "Message": message}, "ResponseMetadata": metadata}
    return ClientError(problem, "PutImage")  # type: ignore[arg-type]


GUARD = "the guard, or another Deny in the resource's own policy, refuses this role"
ORGANIZATION = "the organization refuses it"
OTHER = "that policy refuses it, and no grant helps"
GRANT = "grant it, or run as a role that has it"


@pytest.mark.parametrize(
    ("message", "fix"),
    [
        ("with an explicit deny in a resource-based policy", GUARD),
        ("with an explicit deny in a service control policy", ORGANIZATION),
        ("because no resource control policy allows the ecr:PutImage action", ORGANIZATION),
        ("with an explicit deny in a permissions boundary", OTHER),
        ("because no VPC endpoint policy allows the ecr:PutImage action", OTHER),
        ("with an explicit deny in an identity-based policy", OTHER),
        ("because no identity-based policy allows the ecr:PutImage action", GRANT),
        ("because no resource-based policy allows the ecr:PutImage action", GRANT),
        ("for this", GRANT),
    ],
)
def test_only_a_missing_allow_is_answered_with_a_grant(message: str, fix: str) -> None:
    explained = explain(error("AccessDeniedException", f"User: x is not authorized {message}"))
    assert explained.startswith(f"no permission for PutImage: User: x is not authorized {message}")
    assert f"; {fix}" in explained
    assert ("; grant" in explained) is (fix is GRANT)


SIGN_IN = "; sign in to AWS again"


@pytest.mark.parametrize(
    ("problem", "message"),
    [
        (error("RepositoryNotFoundException"), "PutImage failed.*: because.; check the name"),
        (error("ThrottlingException"), "Throttling.*: because.; run the command again"),
        (error("", "<html>", 500), "HTTP 500: a web page instead of an answer.; run the command"),
        (error("LimitExceededException"), r"LimitExceededException: because\)$"),
        (ClientError({}, "PutImage"), "no reason given"),
        (EndpointConnectionError(endpoint_url="https://x"), "connect.*https://x.*; .*network"),
        (ReadTimeoutError(endpoint_url="https://x"), "timeout.*; .*network"),
        # Whoever is not signed in. The environments that are of no use have the others.
        (error("ExpiredTokenException"), SIGN_IN),
        (error("UnrecognizedClientException"), SIGN_IN),
        (CredentialRetrievalError(provider="custom-process", error_msg="no"), SIGN_IN),
        (SSOTokenLoadError(error_msg="no token"), SIGN_IN),
    ],
)
def test_an_error_comes_with_the_fix(problem: ClientError | BotoCoreError, message: str) -> None:
    assert re.search(message, explain(problem))
