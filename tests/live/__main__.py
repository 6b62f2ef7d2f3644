"""The guard on a real account: `make live ACCOUNT=…`, with an administrator's credentials.

Everything that it makes is named container-images-live, and is deleted at the end. It shows what no
emulation can: that ECR takes the policies as they are, and denies what they deny. Nothing here runs
in `make test` but against a server of the tests; a real account costs less than a cent.
"""

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any, Final

import boto3
from botocore.exceptions import ClientError

from container_images.policies.document import to_json
from container_images.policies.repository_policy import Access, denies, repository_policy
from container_images.policies.retention import lifecycle_policy
from container_images.policies.trust_policy import pipeline_role_policy
from tests.builds import OCI_MANIFEST, digest_of

if TYPE_CHECKING:
    from types_boto3_ecr import ECRClient

NAME: Final = "container-images-live"
BUILDS: Final = ("prod-1111111-1764003600", "prod-2222222-1764007200")
CONFIG: Final = b"{}"
EVERYTHING: Final = {
    "Version": "2012-10-17",
    "Statement": [{"Effect": "Allow", "Action": "ecr:*", "Resource": "*"}],
}
SECONDS_UNTIL_IAM_AGREES: Final = 60


@dataclass(kw_only=True)
class LiveTier:
    """The steps, in the account that `identity` is in."""

    identity: dict[str, Any]
    region: str
    seconds: float = SECONDS_UNTIL_IAM_AGREES
    failures: int = 0
    sessions: dict[str, boto3.Session] = field(default_factory=dict)

    @cached_property
    def account(self) -> str:
        return str(self.identity["Account"])

    def role(self, kind: str) -> str:
        partition = self.identity["Arn"].split(":")[1]
        return f"arn:{partition}:iam::{self.account}:role/{NAME}/{NAME}-{kind}"

    @cached_property
    def access(self) -> Access:
        return Access(
            partition=self.identity["Arn"].split(":")[1],
            account_id=self.account,
            region=self.region,
            pipeline_roles=[self.role("pipeline")],
            administrator_roles=[self.role("administrator")],
            pull_accounts=[],
            pull_organization="",
            lambda_pull=True,
        )

    def ecr(self, kind: str) -> "ECRClient":
        return self.sessions[kind].client("ecr", region_name=self.region)

    def step(self, name: str, action: Callable[[], object]) -> None:
        """Do it, and write down whether it went as it must."""
        try:
            detail = action()
        except (AssertionError, ClientError) as error:
            self.failures += 1
            sys.stdout.write(f"FAILED  {name}: {error}\n")
        else:
            sys.stdout.write(f"ok      {name}{f': {detail}' if detail else ''}\n")

    # --- What is needed first, and goes at the end ------------------------------------------------

    @contextmanager
    def roles(self) -> Iterator[None]:
        """Three roles that this identity can assume: pipeline, administrator, and another."""
        iam, sts = boto3.client("iam"), boto3.client("sts")
        root = self.role("x").partition(":role/")[0] + ":root"
        trust = {"Effect": "Allow", "Principal": {"AWS": root}, "Action": "sts:AssumeRole"}
        policies = {
            "pipeline": pipeline_role_policy(),
            "administrator": EVERYTHING,
            "other": EVERYTHING,
        }
        try:
            for kind, policy in policies.items():
                name = f"{NAME}-{kind}"
                iam.create_role(
                    RoleName=name,
                    Path=f"/{NAME}/",
                    AssumeRolePolicyDocument=json.dumps(
                        {"Version": "2012-10-17", "Statement": [trust]}
                    ),
                )
                iam.put_role_policy(
                    RoleName=name, PolicyName=NAME, PolicyDocument=json.dumps(policy)
                )
            for kind in policies:
                self.sessions[kind] = self._assume(sts, kind)
            yield
        finally:
            for kind in policies:
                with suppress(iam.exceptions.NoSuchEntityException):
                    iam.delete_role_policy(RoleName=f"{NAME}-{kind}", PolicyName=NAME)
                with suppress(iam.exceptions.NoSuchEntityException):
                    iam.delete_role(RoleName=f"{NAME}-{kind}")

    def _assume(self, sts: Any, kind: str) -> boto3.Session:
        """IAM is eventually consistent: a new role cannot be assumed at once."""
        deadline = time.monotonic() + self.seconds
        while True:
            try:
                answer = sts.assume_role(RoleArn=self.role(kind), RoleSessionName="live")
            except ClientError:
                if time.monotonic() > deadline:
                    raise
                time.sleep(2)
            else:
                keys = answer["Credentials"]
                return boto3.Session(
                    keys["AccessKeyId"], keys["SecretAccessKey"], keys["SessionToken"]
                )

    @contextmanager
    def repository(self) -> Iterator[None]:
        """A repository under the guard, whose policy names roles that exist by now."""
        ecr = self.ecr("administrator")
        ecr.create_repository(
            repositoryName=NAME,
            imageTagMutability="MUTABLE_WITH_EXCLUSION",
            imageTagMutabilityExclusionFilters=[{"filterType": "WILDCARD", "filter": "prod-*"}],
        )
        try:
            yield
        finally:
            ecr.delete_repository(repositoryName=NAME, force=True)

    # --- The steps --------------------------------------------------------------------------------

    def take_the_policy(self) -> str:
        """ECR refuses a policy with an action that it does not know."""
        text = to_json(repository_policy(self.access))
        deadline = time.monotonic() + self.seconds
        while True:
            try:
                self.ecr("administrator").set_repository_policy(
                    repositoryName=NAME, policyText=text
                )
                break
            except ClientError:  # a principal that IAM has not told ECR of yet
                if time.monotonic() > deadline:
                    raise
                time.sleep(2)
        live = self.ecr("administrator").get_repository_policy(repositoryName=NAME)["policyText"]
        actions = [
            sorted(
                [statement["Action"]]
                if isinstance(statement["Action"], str)
                else statement["Action"]
            )
            for statement in json.loads(live)["Statement"]
            if statement["Effect"] == "Deny"
        ]
        expected = [sorted(statement["Action"]) for statement in denies(self.access)]
        assert actions == expected, f"AWS has {actions}"
        return f"{sum(map(len, actions))} actions are denied"

    def take_the_lifecycle_policy(self) -> None:
        document = lifecycle_policy(
            ["latest"],
            [{"tags": "prod-*", "keep_newest": 50}, {"untagged": True, "expire_after_days": 7}],
        )
        self.ecr("administrator").put_lifecycle_policy(
            repositoryName=NAME, lifecyclePolicyText=to_json(document)
        )

    def push(self) -> None:
        """Two builds, as Docker pushes them: the layers, then the manifest."""
        ecr = self.ecr("pipeline")
        blob = digest_of(CONFIG.decode())
        upload = ecr.initiate_layer_upload(repositoryName=NAME)["uploadId"]
        ecr.upload_layer_part(
            repositoryName=NAME,
            uploadId=upload,
            partFirstByte=0,
            partLastByte=len(CONFIG) - 1,
            layerPartBlob=CONFIG,
        )
        ecr.complete_layer_upload(repositoryName=NAME, uploadId=upload, layerDigests=[blob])
        for tag in BUILDS:
            self.put(ecr, tag, tag)
        self.put(ecr, BUILDS[0], "latest")

    def put(self, ecr: "ECRClient", build: str, tag: str) -> None:
        part = {"size": len(CONFIG), "digest": digest_of(CONFIG.decode())}
        kind = "application/vnd.oci.image.{}".format
        manifest = json.dumps(
            {
                "schemaVersion": 2,
                "mediaType": OCI_MANIFEST,
                "config": {"mediaType": kind("config.v1+json"), **part},
                "layers": [{"mediaType": kind("layer.v1.tar"), **part}],
                "annotations": {"build": build},
            }
        )
        ecr.put_image(
            repositoryName=NAME,
            imageManifest=manifest,
            imageManifestMediaType=OCI_MANIFEST,
            imageDigest=digest_of(manifest),
            imageTag=tag,
        )

    def move(self) -> str:
        """The command itself, with the pipeline role's credentials."""
        keys = self.sessions["pipeline"].get_credentials()
        assert keys
        done = subprocess.run(
            [sys.executable, "-m", "container_images", "move", NAME, BUILDS[1], "--json"],
            env={
                **{name: text for name, text in os.environ.items() if name != "AWS_PROFILE"},
                "AWS_DEFAULT_REGION": self.region,
                "AWS_ACCESS_KEY_ID": str(keys.access_key),
                "AWS_SECRET_ACCESS_KEY": str(keys.secret_key),
                "AWS_SESSION_TOKEN": str(keys.token),
            },
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        move = json.loads(done.stdout)
        assert move["moved"]
        return f"latest is on {move['to']['digest']}"

    def denied(self, action: Callable[[], object], *codes: str) -> str:
        """AWS refuses it with one of these codes, or as an explicit Deny of the policy."""
        answer: dict[str, Any] = {}
        try:
            action()
        except ClientError as error:
            answer = dict(error.response["Error"])
        assert answer, "AWS allowed it"
        assert answer["Code"] in (codes or ("AccessDeniedException",)), str(answer)
        if not codes:
            assert "explicit deny in a resource-based policy" in answer["Message"], str(answer)
        return str(answer["Code"])

    def run(self) -> None:
        """All steps. What fails does not keep the others from being tried."""
        with self.roles(), self.repository():
            self.step("ECR takes the guard", self.take_the_policy)
            self.step("ECR takes the lifecycle policy", self.take_the_lifecycle_policy)
            self.step("the pipeline role pushes", self.push)
            self.step("the pipeline role moves latest", self.move)
            other, pipeline = self.ecr("other"), self.ecr("pipeline")
            administrator = self.ecr("administrator")
            image = {"imageTag": BUILDS[0]}
            attempts: dict[str, Callable[[], object]] = {
                "another role moves latest": lambda: self.put(other, BUILDS[0], "latest"),
                "an administrator moves latest": lambda: self.put(
                    administrator, BUILDS[0], "latest"
                ),
                "another role deletes an image": lambda: other.batch_delete_image(
                    repositoryName=NAME,
                    imageIds=[image],  # type: ignore[list-item]
                ),
                "the pipeline role deletes an image": lambda: pipeline.batch_delete_image(
                    repositoryName=NAME,
                    imageIds=[image],  # type: ignore[list-item]
                ),
                "another role deletes the guard": lambda: other.delete_repository_policy(
                    repositoryName=NAME
                ),
                "another role changes what may move": lambda: other.put_image_tag_mutability(
                    repositoryName=NAME, imageTagMutability="MUTABLE"
                ),
            }
            for name, attempt in attempts.items():
                self.step(f"denied: {name}", lambda attempt=attempt: self.denied(attempt))  # type: ignore[misc]
            self.step(
                "refused by ECR: the pipeline role overwrites an immutable tag",
                lambda: self.denied(
                    lambda: self.put(pipeline, BUILDS[1], BUILDS[0]),
                    "ImageTagAlreadyExistsException",
                ),
            )


def main(account: str) -> int:
    """Run the steps in that account alone. Returns the exit status."""
    session = boto3.Session()
    identity = session.client("sts").get_caller_identity()
    if identity["Account"] != account:
        sys.stderr.write(
            f"these credentials are of {identity['Account']}, not of {account or 'any account'}: "
            "name a throw-away account, make live ACCOUNT=111122223333\n"
        )
        return 2
    tier = LiveTier(identity=dict(identity), region=session.region_name or "eu-west-2")
    tier.run()
    sys.stdout.write(f"{tier.failures} failed; everything is deleted again\n")
    return 1 if tier.failures else 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
