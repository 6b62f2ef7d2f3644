"""The AWS that the environment names, as with any boto3 tool: Region, profile and endpoint."""

from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from types_boto3_cloudtrail import CloudTrailClient
    from types_boto3_ecr import ECRClient

ATTEMPTS: Final = 5
"""Of each call, where the environment (AWS_MAX_ATTEMPTS) says no other number."""

CONNECT_SECONDS: Final = 5
READ_SECONDS: Final = 30


class Aws:
    """One Region of AWS, as one caller. A client is made when it is first needed."""

    def __init__(self, region: str | None = None) -> None:
        """The Region is the environment's where none is given."""
        # Here, and not above: half a second that a command's help does not need.
        import boto3  # noqa: PLC0415
        import botocore.session  # noqa: PLC0415
        from botocore.config import Config  # noqa: PLC0415

        self._core = botocore.session.get_session()
        self._session = boto3.Session(botocore_session=self._core, region_name=region)
        self._config = Config(
            connect_timeout=CONNECT_SECONDS,
            read_timeout=READ_SECONDS,
            retries={
                # Throttling and 5xx: backs off, and slows down for what comes after.
                "mode": "adaptive",
                "total_max_attempts": self._core.get_config_variable("max_attempts") or ATTEMPTS,
            },
        )

    def ecr(self) -> "ECRClient":
        """A client of ECR."""
        return self._session.client("ecr", config=self._config)

    def cloudtrail(self) -> "CloudTrailClient":
        """A client of CloudTrail."""
        return self._session.client("cloudtrail", config=self._config)

    def caller(self) -> tuple[str, str]:
        """Account and ARN of whoever calls. It needs no permission."""
        identity = self._session.client("sts", config=self._config).get_caller_identity()
        return identity["Account"], identity["Arn"]

    def authorization_details(self) -> dict[str, Any]:
        """The account's roles, users, groups and policies, all pages of them in one."""
        iam = self._session.client("iam", config=self._config)
        pages = iam.get_paginator("get_account_authorization_details").paginate()
        return pages.build_full_result()

    def repository_arn(self, name: str, registry_id: str) -> str:
        """ARN of a repository in this Region."""
        region = self._session.region_name
        partition = self._session.get_partition_for_region(region)
        return f"arn:{partition}:ecr:{region}:{registry_id}:repository/{name}"

    def dns_suffix(self) -> str:
        """What the names of AWS's hosts end in, in this Region's partition."""
        partition = self._session.get_partition_for_region(self._session.region_name)
        partitions: list[dict[str, str]] = self._core.get_data("endpoints")["partitions"]
        return next(it["dnsSuffix"] for it in partitions if it["partition"] == partition)
