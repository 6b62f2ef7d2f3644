"""What moto's server needs around an update of the stack local: `make local` runs it.

It talks to AWS_ENDPOINT_URL alone, and to nothing without it: this is never for a real account.
"""

import hashlib
import json
import os
import time
from pathlib import Path
from typing import Final

import boto3
import click
from botocore.config import Config
from botocore.exceptions import ClientError, EndpointConnectionError

from container_images.aws.images import Manifest, Repository
from container_images.aws.reference import Reference
from container_images.settings.stack_file import read

BUILDS: Final = ("prod-1111111-1764003600", "prod-2222222-1764007200")
"""The tags of two images, an hour apart. latest is on the first."""
SECONDS_TO_START: Final = 30

_MANIFEST: Final = "application/vnd.oci.image.manifest.v1+json"
_QUICK: Final = Config(retries={"total_max_attempts": 1}, connect_timeout=2)


@click.group()
def app() -> None:
    """Prepare moto's server for the stack local, and push images to it."""
    if not os.environ.get("AWS_ENDPOINT_URL", "").startswith("http://127.0.0.1:"):
        raise click.BadParameter(
            "AWS_ENDPOINT_URL names no server of this machine; use make local, which sets it"
        )


@app.command()
def prepare() -> None:
    """Wait for the server, then create the role that the update runs as."""
    [assumed] = read(Path.cwd(), "local").of_provider("assumeRoles")
    name = assumed["roleArn"].rpartition("/")[2]
    iam = boto3.client("iam", config=_QUICK)
    deadline = time.monotonic() + SECONDS_TO_START
    while True:
        try:
            # moto lets everybody assume every role, whatever is written there.
            iam.create_role(RoleName=name, AssumeRolePolicyDocument="{}")
        except EndpointConnectionError:
            if time.monotonic() > deadline:
                raise _failed("moto's server does not answer; .local/moto.log says why") from None
            time.sleep(0.2)
        except ClientError as error:
            raise _failed(f"a server of somebody else has the port; stop it ({error})") from None
        else:
            return


def _failed(why: str) -> click.exceptions.Exit:
    click.echo(why, err=True)
    return click.exceptions.Exit(1)


@app.command()
def push() -> None:
    """Push two images to each repository, as a pipeline would, without Docker."""
    ecr = boto3.client("ecr")
    for it in ecr.describe_repositories()["repositories"]:
        repository = Repository(ecr, Reference(name=it["repositoryName"]))
        for tag, more in zip(BUILDS, (["latest"], []), strict=True):
            # moto asks for no layers. Nothing but the annotation makes two images of them.
            text = json.dumps(
                {"schemaVersion": 2, "mediaType": _MANIFEST, "annotations": {"tag": tag}}
            )
            digest = f"sha256:{hashlib.sha256(text.encode()).hexdigest()}"
            for name in [tag, *more]:
                repository.put(Manifest(digest=digest, media_type=_MANIFEST, text=text), name)


if __name__ == "__main__":
    app(prog_name="python -m container_images.rehearsal.local")
