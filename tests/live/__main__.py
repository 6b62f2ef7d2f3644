"""The guard on a real account: `make live ACCOUNT=…`, with an administrator's credentials.

Everything that it makes is named container-images-live, and is deleted at the end. It shows what no
emulation can: that ECR takes the policies as they are, and denies what they deny. Nothing here runs
in `make test` but against a server of the tests; a real account costs less than a cent.
"""

import json
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import partial
from typing import Any, Final

import boto3
from botocore.exceptions import ClientError
from click.testing import CliRunner

from container_images.cli.app import app
from container_images.policies.document import document_of, statements_in, to_json
from container_images.policies.repository_policy import denies, repository_policy
from container_images.policies.retention import lifecycle_policy
from container_images.policies.trust_policy import pipeline_role_policy
from tests.builds import OCI_MANIFEST, access, digest_of

NAME: Final = "container-images-live"
BUILDS: Final = ("prod-1111111-1764003600", "prod-2222222-1764007200")
CONFIG: Final = "{}"
DENIED: Final = "AccessDeniedException"
SECONDS_UNTIL_IAM_AGREES: Final = 60
EVERYTHING: Final = document_of([{"Effect": "Allow", "Action": "ecr:*", "Resource": "*"}])
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


def image(build: str, tag: str) -> dict[str, str]:
    """What puts the image of a build."""
    part = {"size": len(CONFIG), "digest": digest_of(CONFIG)}
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
    named = {"imageManifestMediaType": OCI_MANIFEST, "imageDigest": digest_of(manifest)}
    return {**named, "imageManifest": manifest, "imageTag": tag}


class LiveTier:
    """The steps, in the account of an identity."""

    def __init__(self, identity: dict[str, Any], region: str) -> None:
        self.account = f"arn:{identity['Arn'].split(':')[1]}:iam::{identity['Account']}"
        self.failures = 0
        self.ecr: dict[str, Any] = {}
        """A client for each role."""
        self.environment: dict[str, str | None] = {"AWS_PROFILE": None}
        """That of the pipeline role."""
        self.access = access(
            identity["Account"],
            partition=self.account.split(":")[1],
            region=region,
            pipeline_roles=[self.role("pipeline")],
            administrator_roles=[self.role("administrator")],
            pull_accounts=[],
            lambda_pull=True,
        )

    def role(self, kind: str) -> str:
        return f"{self.account}:role/{NAME}/{NAME}-{kind}"

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
        iam, sts, region = boto3.client("iam"), boto3.client("sts"), self.access["region"]
        trusted = {"Effect": "Allow", "Action": "sts:AssumeRole"}
        trust = to_json(document_of([trusted | {"Principal": {"AWS": f"{self.account}:root"}}]))
        try:
            for kind, document in ROLES.items():
                name, text = f"{NAME}-{kind}", to_json(document)
                iam.create_role(RoleName=name, Path=f"/{NAME}/", AssumeRolePolicyDocument=trust)
                iam.put_role_policy(RoleName=name, PolicyName=NAME, PolicyDocument=text)
            for kind in reversed(ROLES):
                session = {"RoleArn": self.role(kind), "RoleSessionName": "live"}
                keys = eventually(sts.assume_role, **session)["Credentials"]
                given = {
                    "aws_access_key_id": keys["AccessKeyId"],
                    "aws_secret_access_key": keys["SecretAccessKey"],
                    "aws_session_token": keys["SessionToken"],
                }
                self.ecr[kind] = boto3.client("ecr", region_name=region, **given)
            # The last of them is the pipeline's.
            self.environment |= {key.upper(): value for key, value in given.items()}
            self.environment["AWS_DEFAULT_REGION"] = region
            yield
        finally:
            for kind in ROLES:
                with suppress(iam.exceptions.NoSuchEntityException):
                    iam.delete_role_policy(RoleName=f"{NAME}-{kind}", PolicyName=NAME)
                with suppress(iam.exceptions.NoSuchEntityException):
                    iam.delete_role(RoleName=f"{NAME}-{kind}")

    def call(self, kind: str, operation: str, **arguments: Any) -> Any:
        """Call ECR as one of the roles, for the repository."""
        return getattr(self.ecr[kind], operation)(repositoryName=NAME, **arguments)

    @contextmanager
    def repository(self) -> Iterator[None]:
        """A repository under the guard, whose policy names roles that exist by now."""
        filters = [{"filterType": "WILDCARD", "filter": "prod-*"}]
        mutability = {"imageTagMutability": "MUTABLE_WITH_EXCLUSION"}
        excluded = {**mutability, "imageTagMutabilityExclusionFilters": filters}
        self.call("administrator", "create_repository", **excluded)
        try:
            yield
        finally:
            self.call("administrator", "delete_repository", force=True)

    # --- The steps --------------------------------------------------------------------------------

    def take_the_policy(self) -> str:
        """ECR refuses a policy with an action that it does not know."""
        put = partial(self.call, "administrator", "set_repository_policy")
        eventually(put, policyText=to_json(repository_policy(self.access)))
        text = self.call("administrator", "get_repository_policy")["policyText"]
        actions = [sorted(deny["Action"]) for deny in statements_in(json.loads(text), "Deny")]
        expected = [sorted(deny["Action"]) for deny in denies(self.access)]
        assert actions == expected, f"AWS has {actions}"
        return f"{sum(map(len, actions))} actions are denied"

    def take_the_lifecycle_policy(self) -> None:
        rules: Any = (
            {"tags": "prod-*", "keepNewest": 50},
            {"untagged": True, "expireAfterDays": 7},
        )
        text = to_json(lifecycle_policy(["latest"], rules))
        self.call("administrator", "put_lifecycle_policy", lifecyclePolicyText=text)

    def push(self) -> None:
        """Two builds, as Docker pushes them: the layers, then the manifest."""
        blob = CONFIG.encode()
        upload = {"uploadId": self.call("pipeline", "initiate_layer_upload")["uploadId"]}
        part = {"partFirstByte": 0, "partLastByte": len(blob) - 1, "layerPartBlob": blob}
        self.call("pipeline", "upload_layer_part", **upload, **part)
        digests = [digest_of(CONFIG)]
        self.call("pipeline", "complete_layer_upload", **upload, layerDigests=digests)
        for build, tag in zip((*BUILDS, BUILDS[0]), (*BUILDS, "latest"), strict=True):
            self.call("pipeline", "put_image", **image(build, tag))

    def move(self) -> str:
        """The command itself, with the pipeline role's credentials."""
        done = CliRunner(env=self.environment).invoke(app, ["move", NAME, BUILDS[1], "--json"])
        assert done.exit_code == 0, done.stderr
        move = json.loads(done.stdout)
        assert move["moved"]
        return f"latest is on {move['to']['digest']}"

    def refused(self, code: str, kind: str, operation: str, arguments: dict[str, Any]) -> str:
        """AWS refuses it with this code: where access is denied, by the repository's policy."""
        answer: dict[str, Any] = {}
        try:
            self.call(kind, operation, **arguments)
        except ClientError as error:
            answer = dict(error.response["Error"])
        assert answer, "AWS allowed it"
        assert answer["Code"] == code, str(answer)
        denial = "explicit deny in a resource-based policy"
        assert code != DENIED or denial in answer["Message"], str(answer)
        return code

    def run(self) -> None:
        """All steps. What fails does not keep the others from being tried."""
        with self.roles(), self.repository():
            self.step("ECR takes the guard", self.take_the_policy)
            self.step("ECR takes the lifecycle policy", self.take_the_lifecycle_policy)
            self.step("the pipeline role pushes", self.push)
            self.step("the pipeline role moves latest", self.move)
            moved, tagged = image(BUILDS[0], "latest"), {"imageIds": [{"imageTag": BUILDS[0]}]}
            mutable, operation = {"imageTagMutability": "MUTABLE"}, "put_image_tag_mutability"
            for who, what, attempt in (
                ("another role", "moves latest", ("other", "put_image", moved)),
                ("an administrator", "moves latest", ("administrator", "put_image", moved)),
                ("another role", "deletes an image", ("other", "batch_delete_image", tagged)),
                ("the pipeline", "deletes an image", ("pipeline", "batch_delete_image", tagged)),
                ("another role", "deletes the guard", ("other", "delete_repository_policy", {})),
                ("another role", "changes what may move", ("other", operation, mutable)),
            ):
                self.step(f"denied: {who} {what}", partial(self.refused, DENIED, *attempt))
            overwrite = ("pipeline", "put_image", image(BUILDS[1], BUILDS[0]))
            immutable = partial(self.refused, "ImageTagAlreadyExistsException", *overwrite)
            self.step("refused: the pipeline overwrites an immutable tag", immutable)


def main(account: str) -> int:
    """Run the steps in that account alone. Returns the exit status."""
    session = boto3.Session()
    identity: Any = session.client("sts").get_caller_identity()
    if identity["Account"] != account:
        sys.stderr.write(
            f"these credentials are of {identity['Account']}, not of {account or 'any account'}: "
            "name a throw-away account, make live ACCOUNT=111122223333\n"
        )
        return 2
    tier = LiveTier(identity, session.region_name or "eu-west-2")
    tier.run()
    sys.stdout.write(f"{tier.failures} failed; everything is deleted again\n")
    return 1 if tier.failures else 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
