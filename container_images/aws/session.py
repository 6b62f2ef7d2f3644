"""The AWS that the environment names: Region, profile, credentials and endpoint."""

import os
from functools import cached_property
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, Final, cast

from botocore.exceptions import BotoCoreError, HTTPClientError

from container_images.aws.errors import RefusedError, code_of

if TYPE_CHECKING:
    from types_boto3_ecr import ECRClient

READ_SECONDS: Final = 8
"""Botocore makes three attempts, or AWS_MAX_ATTEMPTS: nobody should wait for minutes."""


class Aws:
    """One Region of AWS, as one caller. A client is made when it is first needed."""

    def __init__(self, region: str | None = None, profile: str | None = None) -> None:
        """Without a Region: AWS_DEFAULT_REGION, then AWS_REGION, then the profile's.

        With a profile: its own Region, then the given one; and no credentials of the environment.
        Raises ProfileNotFound. botocore does not read AWS_REGION, but AWS Lambda and some CI
        systems set nothing else:
        https://docs.aws.amazon.com/sdkref/latest/guide/feature-region.html
        """
        # Here, and not above: a quarter of a second that a command's help does not need. Without
        # boto3, which would load S3's transfers besides.
        import botocore.session  # noqa: PLC0415

        self._core = botocore.session.Session(profile=profile)
        self._core.register("after-call.ecr", _name_region)
        self._core.register("before-parse", _refuse_web_page)
        if profile:
            region = self._core.get_scoped_config().get("region") or region
        region = region or os.environ.get("AWS_DEFAULT_REGION") or os.environ.get("AWS_REGION")
        if region:
            self._core.set_config_variable("region", region)
        self.region: str | None = self._core.get_config_variable("region")
        """The Region, if one is set anywhere."""

    def client(self, service: str, region: str | None = None) -> Any:
        """A client with credentials. Raises RefusedError where the environment's are of no use."""
        from botocore.config import Config  # noqa: PLC0415 as above

        try:
            config = Config(
                connect_timeout=5,
                read_timeout=READ_SECONDS,
                # Of throttling and 5xx it slows down for what comes after.
                retries={"mode": "adaptive"},
            )
            if credentials := self._core.get_credentials():
                credentials.get_frozen_credentials()
            return self._core.create_client(service, region_name=region, config=config)
        except BotoCoreError:
            raise
        except (OSError, ValueError, EOFError) as error:
            # botocore leaves to Python a file or a process of credentials that is not there, a code
            # for MFA that nobody is there to type, and an endpoint or a number that is none.
            raise RefusedError(
                f"AWS's settings cannot be used ({str(error) or 'no MFA code'}); correct "
                "the variables that begin with AWS_, or the profile in AWS's configuration files",
                code_of(error),
            ) from None

    def ecr(self, region: str | None = None) -> "ECRClient":
        """A client of ECR, in this Region or another."""
        return cast("ECRClient", self.client("ecr", region))

    @cached_property
    def caller(self) -> tuple[str, str]:
        """Account and ARN of whoever calls. It needs no permission."""
        identity = self.client("sts").get_caller_identity()
        return identity["Account"], identity["Arn"]


def _name_region(**event: Any) -> None:
    """Add the Region in which ECR has no such repository. ECR names the account alone."""
    error = event["parsed"].get("Error", {})
    if error.get("Code") == "RepositoryNotFoundException":
        error["Message"] += f" in {event['context']['client_region']}"


def _refuse_web_page(**event: Any) -> None:
    """Raise HTTPClientError for a success that is no answer of AWS, such as a proxy's login page.

    botocore takes it for an empty answer. AWS answers an object of JSON, or XML that is named so.
    """
    answer, xml = event["response_dict"], f"<{event['operation_model'].name}Response"
    is_of_aws = answer["body"].lstrip().startswith(b"{") or xml.encode() in answer["body"]
    if answer["status_code"] < HTTPStatus.MULTIPLE_CHOICES and not is_of_aws:
        raise HTTPClientError(error="the answer is not from AWS, maybe from a proxy")
