import re

import pytest
from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    EndpointConnectionError,
    NoCredentialsError,
    NoRegionError,
    ProfileNotFound,
)

from registry.aws.errors import explain


def error(code: str, operation: str = "PutImage", message: str = "because") -> ClientError:
    return ClientError({"Error": {"Code": code, "Message": message}}, operation)


@pytest.mark.parametrize("code", ["AccessDenied", "AccessDeniedException"])
@pytest.mark.parametrize(
    ("operation", "action"),
    [
        ("PutImage", "ecr:PutImage"),
        ("DescribeImages", "ecr:DescribeImages"),
        ("BatchGetImage", "ecr:BatchGetImage"),
        ("LookupEvents", "cloudtrail:LookupEvents"),
        ("GetCallerIdentity", "sts:GetCallerIdentity"),
    ],
)
def test_a_missing_permission_names_the_action_and_the_repository(
    code: str, operation: str, action: str
) -> None:
    told = explain(error(code, operation), "forms")
    assert told == (
        f"no permission for {action} on forms: because; grant {action}, or run as a role that has "
        "it"
    )


@pytest.mark.parametrize(
    ("problem", "told"),
    [
        (error("RepositoryNotFoundException"), "on forms failed.*check the name"),
        (error("KmsException"), "on forms failed.*KMS key"),
        (error("ExpiredTokenException"), "forms: AWS does not take the credentials.*sign in"),
        (error("UnrecognizedClientException"), "does not take the credentials"),
        (error("ThrottlingException"), "ecr:PutImage on forms failed.*run the command again"),
        (error("LimitExceededException"), "LimitExceededException: because.*delete tags"),
        (ClientError({}, "PutImage"), "no reason given"),
        (NoCredentialsError(), "forms: Unable to locate credentials; sign in to AWS"),
        (NoRegionError(), "You must specify a region; set AWS_DEFAULT_REGION"),
        (ProfileNotFound(profile="x"), "could not be found; correct AWS_PROFILE"),
        (EndpointConnectionError(endpoint_url="https://x"), "connect.*https://x.*network"),
    ],
)
def test_every_error_of_aws_comes_with_the_fix(
    problem: ClientError | BotoCoreError, told: str
) -> None:
    found = explain(problem, "forms")
    assert re.search(told, found)
    assert "; " in found
