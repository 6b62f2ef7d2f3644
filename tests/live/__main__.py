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
from functools import partial
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
SECONDS_UNTIL_IAM_AGREES: Final = 60


def policy(**statement: Any) -> dict[str, Any]:
    return {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", **statement}]}


EVERYTHING: Final = policy(Action="ecr:*", Resource="*")
ROLES: Final = {
    "pipeline": pipeline_role_policy(),
    "administrator": EVERYTHING,
    "other": EVERYTHING,
}


def eventually(action: Callable[..., Any], **arguments: Any) -> Any:
    """IAM is eventually consistent: a new role can neither be assumed nor be named at once."""
    deadline = time.monotonic() + SECONDS_UNTIL_IAM_AGREES
    while True:
        try:
            return action(**arguments)
        except ClientError:
            if time.monotonic() > deadline:
                raise
            time.sleep(2)


class LiveTier:
    """The steps, in the account of an identity."""

    def __init__(self, identity: dict[str, Any], region: str) -> None:
        self.region = region
        self.account = str(identity["Account"])
        self.partition = identity["Arn"].split(":")[1]
        self.failures = 0
        self.credentials: dict[str, dict[str, str]] = {}
        self.access: Access = {
            "partition": self.partition,
            "account_id": self.account,
            "region": region,
            "pipeline_roles": [self.role("pipeline")],
            "administrator_roles": [self.role("administrator")],
            "pull_accounts": [],
            "pull_organization": "",
            "lambda_pull": True,
        }

    def role(self, kind: str) -> str:
        return f"arn:{self.partition}:iam::{self.account}:role/{NAME}/{NAME}-{kind}"

    def ecr(self, kind: str) -> "ECRClient":
        keys = {f"aws_{name}": value for name, value in self.credentials[kind].items()}
        return boto3.client("ecr", region_name=self.region, **keys)  # type: ignore[call-overload,no-any-return]

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
        root = {"AWS": f"arn:{self.partition}:iam::{self.account}:root"}
        trust = json.dumps(policy(Principal=root, Action="sts:AssumeRole"))
        try:
            for kind, document in ROLES.items():
                name, text = f"{NAME}-{kind}", json.dumps(document)
                iam.create_role(RoleName=name, Path=f"/{NAME}/", AssumeRolePolicyDocument=trust)
                iam.put_role_policy(RoleName=name, PolicyName=NAME, PolicyDocument=text)
            for kind in ROLES:
                role = {"RoleArn": self.role(kind), "RoleSessionName": "live"}
                keys = eventually(sts.assume_role, **role)["Credentials"]
                self.credentials[kind] = {
                    "access_key_id": keys["AccessKeyId"],
                    "secret_access_key": keys["SecretAccessKey"],
                    "session_token": keys["SessionToken"],
                }
            yield
        finally:
            for kind in ROLES:
                with suppress(iam.exceptions.NoSuchEntityException):
                    iam.delete_role_policy(RoleName=f"{NAME}-{kind}", PolicyName=NAME)
                with suppress(iam.exceptions.NoSuchEntityException):
                    iam.delete_role(RoleName=f"{NAME}-{kind}")

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
        ecr, text = self.ecr("administrator"), to_json(repository_policy(self.access))
        eventually(ecr.set_repository_policy, repositoryName=NAME, policyText=text)
        live = json.loads(ecr.get_repository_policy(repositoryName=NAME)["policyText"])
        actions = [
            sorted([written] if isinstance(written := statement["Action"], str) else written)
            for statement in live["Statement"]
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
        ecr, text = self.ecr("administrator"), to_json(document)
        ecr.put_lifecycle_policy(repositoryName=NAME, lifecyclePolicyText=text)

    def push(self) -> None:
        """Two builds, as Docker pushes them: the layers, then the manifest."""
        ecr = self.ecr("pipeline")
        upload = ecr.initiate_layer_upload(repositoryName=NAME)["uploadId"]
        ecr.upload_layer_part(
            repositoryName=NAME,
            uploadId=upload,
            partFirstByte=0,
            partLastByte=len(CONFIG) - 1,
            layerPartBlob=CONFIG,
        )
        blob = digest_of(CONFIG.decode())
        ecr.complete_layer_upload(repositoryName=NAME, uploadId=upload, layerDigests=[blob])
        for build, tag in zip((*BUILDS, BUILDS[0]), (*BUILDS, "latest"), strict=True):
            self.put("pipeline", build, tag)

    def put(self, kind: str, build: str, tag: str) -> None:
        part = {"size": len(CONFIG), "digest": digest_of(CONFIG.decode())}
        media_type = "application/vnd.oci.image.{}".format
        manifest = json.dumps(
            {
                "schemaVersion": 2,
                "mediaType": OCI_MANIFEST,
                "config": {"mediaType": media_type("config.v1+json"), **part},
                "layers": [{"mediaType": media_type("layer.v1.tar"), **part}],
                "annotations": {"build": build},
            }
        )
        self.ecr(kind).put_image(
            repositoryName=NAME,
            imageManifest=manifest,
            imageManifestMediaType=OCI_MANIFEST,
            imageDigest=digest_of(manifest),
            imageTag=tag,
        )

    def move(self) -> str:
        """The command itself, with the pipeline role's credentials."""
        keys = {f"AWS_{key.upper()}": text for key, text in self.credentials["pipeline"].items()}
        others = {name: text for name, text in os.environ.items() if name != "AWS_PROFILE"}
        done = subprocess.run(
            [sys.executable, "-m", "container_images", "move", NAME, BUILDS[1], "--json"],
            env={**others, **keys, "AWS_DEFAULT_REGION": self.region},
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        move = json.loads(done.stdout)
        assert move["moved"]
        return f"latest is on {move['to']['digest']}"

    def denied(self, action: Callable[[], object], code: str = "AccessDeniedException") -> str:
        """AWS refuses it with this code: where access is denied, by the repository's policy."""
        answer: dict[str, Any] = {}
        try:
            action()
        except ClientError as error:
            answer = dict(error.response["Error"])
        assert answer, "AWS allowed it"
        assert answer["Code"] == code, str(answer)
        denial = "explicit deny in a resource-based policy"
        assert code != "AccessDeniedException" or denial in answer["Message"], str(answer)
        return code

    def run(self) -> None:
        """All steps. What fails does not keep the others from being tried."""
        with self.roles(), self.repository():
            self.step("ECR takes the guard", self.take_the_policy)
            self.step("ECR takes the lifecycle policy", self.take_the_lifecycle_policy)
            self.step("the pipeline role pushes", self.push)
            self.step("the pipeline role moves latest", self.move)
            other, pipeline = self.ecr("other"), self.ecr("pipeline")
            image: Any = {"repositoryName": NAME, "imageIds": [{"imageTag": BUILDS[0]}]}
            mutable: Any = {"repositoryName": NAME, "imageTagMutability": "MUTABLE"}
            attempts: dict[str, Callable[[], object]] = {
                "another role moves latest": partial(self.put, "other", BUILDS[0], "latest"),
                "an administrator moves latest": partial(
                    self.put, "administrator", BUILDS[0], "latest"
                ),
                "another role deletes an image": partial(other.batch_delete_image, **image),
                "the pipeline role deletes an image": partial(pipeline.batch_delete_image, **image),
                "another role deletes the guard": partial(
                    other.delete_repository_policy, repositoryName=NAME
                ),
                "another role changes what may move": partial(
                    other.put_image_tag_mutability, **mutable
                ),
            }
            for name, attempt in attempts.items():
                self.step(f"denied: {name}", partial(self.denied, attempt))
            overwrite = partial(self.put, "pipeline", BUILDS[1], BUILDS[0])
            self.step(
                "refused by ECR: the pipeline role overwrites an immutable tag",
                partial(self.denied, overwrite, "ImageTagAlreadyExistsException"),
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
    tier = LiveTier(dict(identity), session.region_name or "eu-west-2")
    tier.run()
    sys.stdout.write(f"{tier.failures} failed; everything is deleted again\n")
    return 1 if tier.failures else 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
