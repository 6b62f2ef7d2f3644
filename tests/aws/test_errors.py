import re

import pytest
from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    ConfigParseError,
    CredentialRetrievalError,
    EndpointConnectionError,
    LoginRefreshRequired,
    MetadataRetrievalError,
    NoCredentialsError,
    NoRegionError,
    PartialCredentialsError,
    ProfileNotFound,
    ReadTimeoutError,
    SSOTokenLoadError,
    TokenRetrievalError,
    UnauthorizedSSOTokenError,
)

from container_images.aws.errors import AwsError, explain


def error(code: str, operation: str = "PutImage", message: str = "because") -> ClientError:
    return ClientError({"Error": {"Code": code, "Message": message}}, operation)


@pytest.mark.parametrize("code", ["AccessDenied", "AccessDeniedException", "NotAuthorized"])
def test_a_missing_permission_is_named(code: str) -> None:
    assert explain(error(code)) == (
        "no permission for PutImage: because; grant it, or run as a role that has it"
    )


USER = "User: arn:aws:sts::111122223333:assumed-role/dev/mary is not authorized to perform: "
SIGN_IN = "; sign in to AWS again"


@pytest.mark.parametrize(
    ("message", "fix"),
    [
        (
            "with an explicit deny in a resource-based policy",
            "the guard, or another Deny",
        ),
        ("with an explicit deny in a service control policy", "the organization refuses it"),
        ("with an explicit deny in a resource control policy", "the organization refuses it"),
        ("because no service control policy allows the ecr:PutImage action", "the organization"),
        ("with an explicit deny in a permissions boundary", "permissions boundary refuses it"),
        ("because no permissions boundary allows the ecr:PutImage action", "boundary refuses it"),
        ("with an explicit deny in a session policy", "the session's own policy"),
        ("because no VPC endpoint policy allows the ecr:PutImage action", "the VPC endpoint"),
        ("with an explicit deny in an identity-based policy", "a Deny refuses it"),
        ("with an explicit deny", "a Deny refuses it"),
        ("because no identity-based policy allows the ecr:PutImage action", "grant it"),
        ("because no resource-based policy allows the ecr:PutImage action", "grant it"),
    ],
)
def test_only_a_missing_allow_is_answered_with_a_grant(message: str, fix: str) -> None:
    denial = error("AccessDeniedException", message=f"{USER}ecr:PutImage on resource: x {message}")
    explained = explain(denial)
    assert re.search(fix, explained)
    assert ("; grant" in explained) is fix.startswith("grant")


@pytest.mark.parametrize(
    ("problem", "message"),
    [
        (error("RepositoryNotFoundException"), "PutImage failed.*; check the name"),
        (error("KmsException"), "failed.*; .*KMS key"),
        (error("ThrottlingException"), "PutImage failed.*; run the command again"),
        (error("LimitExceededException"), "LimitExceededException: because.*; delete tags"),
        (ClientError({}, "PutImage"), "no reason given.*; "),
        (NoRegionError(), "You must specify a region; set AWS_DEFAULT_REGION"),
        (ProfileNotFound(profile="x"), "could not be found; correct AWS_PROFILE"),
        (EndpointConnectionError(endpoint_url="https://x"), "connect.*https://x.*; .*network"),
        (ReadTimeoutError(endpoint_url="https://x"), "timeout.*; .*network"),
        (ConfigParseError(path="/x"), "Unable to parse config file: /x; correct AWS's conf"),
        # Whoever is not signed in.
        (error("ExpiredTokenException"), "ExpiredTokenException.*; sign in"),
        (error("UnrecognizedClientException"), "; sign in"),
        (error("ExpiredToken", "GetCallerIdentity"), SIGN_IN),
        (error("UnauthorizedException", "GetRoleCredentials"), SIGN_IN),
        (error("InvalidIdentityToken", "AssumeRoleWithWebIdentity"), SIGN_IN),
        (NoCredentialsError(), f"Unable to locate credentials{SIGN_IN}"),
        (PartialCredentialsError(provider="env", cred_var="AWS_SECRET_ACCESS_KEY"), SIGN_IN),
        (CredentialRetrievalError(provider="custom-process", error_msg="no"), SIGN_IN),
        (MetadataRetrievalError(error_msg="IMDS timed out"), SIGN_IN),
        (TokenRetrievalError(provider="sso", error_msg="no"), SIGN_IN),
        (SSOTokenLoadError(error_msg="no token"), SIGN_IN),
        (UnauthorizedSSOTokenError(), SIGN_IN),
        (LoginRefreshRequired(), SIGN_IN),
    ],
)
def test_every_error_of_aws_comes_with_the_fix(
    problem: ClientError | BotoCoreError, message: str
) -> None:
    assert re.search(message, explain(problem))


def test_a_page_of_html_is_not_repeated() -> None:
    problem = ClientError(
        {
            "Error": {"Message": "<!DOCTYPE html>\n<html><body>oops</body></html>"},
            "ResponseMetadata": {"HTTPStatusCode": 500},  # type: ignore[typeddict-item]
        },
        "LookupEvents",
    )
    assert explain(problem) == (
        "LookupEvents failed (HTTP 500: a web page instead of an answer); run the command "
        "again: repeating it is safe"
    )


def test_a_failure_knows_awss_name_for_it() -> None:
    assert AwsError("", error("KmsException")).code == "KmsException"
    assert AwsError("", NoRegionError()).code == "NoRegionError"
