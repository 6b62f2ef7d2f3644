"""The AWS that the environment names: Region, profile, credentials and endpoint."""

import json
import os
from typing import TYPE_CHECKING, Any, Final, Literal, get_args

from botocore.exceptions import BotoCoreError, ConnectTimeoutError, ReadTimeoutError

from container_images.aws.errors import AwsError, NotFromAwsError

if TYPE_CHECKING:
    from types_boto3_cloudtrail import CloudTrailClient
    from types_boto3_ecr import ECRClient

ATTEMPTS: Final = 5
"""Of each call, where the environment (AWS_MAX_ATTEMPTS) says no other number."""

Service = Literal["ecr", "cloudtrail", "iam", "sts", "ec2", "ecs", "lambda"]
"""Those that the commands call."""

SILENT_ATTEMPTS: Final = 2
"""Of a call that is not answered at all. Others, such as throttled ones, are tried more often."""

CONNECT_SECONDS: Final = 5
READ_SECONDS: Final = 10


class Aws:
    """One Region of AWS, as one caller. A client is made when it is first needed."""

    def __init__(self, region: str | None = None, profile: str | None = None) -> None:
        """Without a Region: AWS_DEFAULT_REGION, then AWS_REGION, then the profile's.

        With a profile: its own Region, then the given one; and no credentials of the environment.
        Raises ProfileNotFound.

        botocore knows the first and the last. AWS_REGION is what the AWS CLI and the other SDKs
        read, and all that AWS Lambda and some CI systems set:
        https://docs.aws.amazon.com/sdkref/latest/guide/feature-region.html
        """
        # Here, and not above: a quarter of a second that a command's help does not need. Without
        # boto3, which would load S3's transfers besides.
        import botocore.session  # noqa: PLC0415

        self._core = botocore.session.Session(profile=profile)
        for service in get_args(Service):
            self._core.register(f"before-parse.{service}", _refuse_other_answers)
            self._core.register(f"needs-retry.{service}", _give_up_in_silence)
        if profile:
            region = self._core.get_scoped_config().get("region") or region
        region = region or os.environ.get("AWS_DEFAULT_REGION") or os.environ.get("AWS_REGION")
        if region:
            self._core.set_config_variable("region", region)

    @property
    def region(self) -> str | None:
        """The Region, if one is set anywhere."""
        region: str | None = self._core.get_config_variable("region")
        return region

    def ecr(self, region: str | None = None, attempts: int | None = None) -> "ECRClient":
        """A client of ECR, in this Region or another, that tries each call so often."""
        client: ECRClient = self._client("ecr", region, attempts)
        return client

    def cloudtrail(self) -> "CloudTrailClient":
        """A client of CloudTrail."""
        client: CloudTrailClient = self._client("cloudtrail")
        return client

    def workloads(self, service: Literal["ecs", "lambda"]) -> Any:
        """A client of a service that runs images."""
        return self._client(service)

    def caller(self) -> tuple[str, str]:
        """Account and ARN of whoever calls. It needs no permission."""
        identity = self._client("sts").get_caller_identity()
        return identity["Account"], identity["Arn"]

    def enabled_regions(self) -> list[str]:
        """The Regions that the account has enabled, by one call of EC2."""
        regions = self._client("ec2").describe_regions()["Regions"]
        return [region["RegionName"] for region in regions]

    def authorization_details(self) -> dict[str, Any]:
        """The account's roles, users, groups and policies, all pages of them in one."""
        pages = self._client("iam").get_paginator("get_account_authorization_details").paginate()
        details: dict[str, Any] = pages.build_full_result()
        return details

    def repository_arn(self, name: str, registry_id: str) -> str:
        """ARN of a repository in this Region."""
        return f"arn:{self._partition()}:ecr:{self.region}:{registry_id}:repository/{name}"

    def dns_suffix(self) -> str:
        """What the names of AWS's hosts end in, in this Region's partition."""
        partition = self._partition()
        partitions: list[dict[str, str]] = self._core.get_data("endpoints")["partitions"]
        return next(known["dnsSuffix"] for known in partitions if known["partition"] == partition)

    def _partition(self) -> str:
        partition: str = self._core.get_partition_for_region(self.region or "")
        return partition

    def _client(
        self, service: Service, region: str | None = None, attempts: int | None = None
    ) -> Any:
        """A client with credentials. Raises AwsError where the environment's are of no use.

        botocore has exceptions of its own for most of what can be wrong, and leaves the rest to
        Python: a file of credentials that is not there, a credential process that prints no JSON,
        a code for MFA that nobody is there to type, an endpoint or a number that is none.
        """
        from botocore.config import Config  # noqa: PLC0415 as above

        try:
            # Throttling and 5xx: adaptive backs off, and slows down for what comes after.
            attempts = attempts or self._core.get_config_variable("max_attempts") or ATTEMPTS
            config = Config(
                connect_timeout=CONNECT_SECONDS,
                read_timeout=READ_SECONDS,
                retries={"mode": "adaptive", "total_max_attempts": attempts},
            )
            if credentials := self._core.get_credentials():
                credentials.get_frozen_credentials()
            return self._core.create_client(service, region_name=region, config=config)
        except BotoCoreError:
            raise
        except (OSError, ValueError, EOFError) as error:
            why = str(error) or "an MFA code is missing"
            raise AwsError(
                f"the environment's AWS settings cannot be used ({why}); "
                "correct the variables that begin with AWS_, or the profile in AWS's configuration "
                "files",
                error,
            ) from None


def _give_up_in_silence(**event: Any) -> None:
    """Raise the timeout of a call that nobody answers: five of them would take minutes."""
    error = event["caught_exception"]
    if event["attempts"] >= SILENT_ATTEMPTS and isinstance(
        error, ConnectTimeoutError | ReadTimeoutError
    ):
        raise error


def _refuse_other_answers(**event: Any) -> None:
    """Raise NotFromAwsError for a success that has nothing of the operation's output.

    A proxy's login page, for example. botocore takes it for an empty response where it expects
    JSON, and fails with a KeyError where it expects XML.
    """
    answer, operation = event["response_dict"], event["operation_model"]
    shape = operation.output_shape
    if answer["status_code"] >= _FIRST_ERROR or not (shape and shape.members):
        return
    if not _has_output(answer["body"], operation):
        raise NotFromAwsError


_FIRST_ERROR: Final = 301
"""From this HTTP status on, botocore reads an answer as an error."""


def _has_output(body: bytes, operation: Any) -> bool:
    shape = operation.output_shape
    if operation.metadata["protocol"] == "ec2":
        return f"<{operation.name}Response".encode() in body
    if wrapper := shape.serialization.get("resultWrapper"):  # of the query protocol, in XML
        return f"<{wrapper}".encode() in body
    try:
        output = json.loads(body)
    except ValueError:
        return False
    # AWS may leave out what is empty, and so everything.
    return isinstance(output, dict) and (not output or bool(output.keys() & set(shape.members)))
