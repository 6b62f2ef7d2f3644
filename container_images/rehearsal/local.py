"""What moto's server needs around an update of the stack local: `make local` runs it.

It talks to AWS_ENDPOINT_URL alone, and to nothing without it: this is never for a real account.
"""

import os
import socket
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

import boto3
from botocore.config import Config
from botocore.exceptions import EndpointConnectionError

from container_images.aws.images import Repository
from container_images.aws.reference import Reference
from container_images.rehearsal.pipeline import manifest_with
from container_images.stack.declared import declared

BUILDS: Final = ("prod-1111111-1764003600", "prod-2222222-1764007200")
"""The tags of two images, an hour apart. latest is on the first."""


def main(action: str, folder: str = "") -> None:
    """`start FOLDER` or `push`."""
    if not os.environ.get("AWS_ENDPOINT_URL", "").startswith("http://127.0.0.1:"):
        sys.exit("AWS_ENDPOINT_URL names no server of this machine; use make local, which sets it")
    if action == "start":
        start(Path(folder))
    else:
        push()


def start(folder: Path) -> None:
    """Start the server, with its log and its process id in FOLDER, and the role that updates."""
    stack = declared("local")
    port = urlsplit(os.environ["AWS_ENDPOINT_URL"]).port or 0
    with socket.socket() as probe:
        if probe.connect_ex(("127.0.0.1", port)) == 0:  # the update would go there
            sys.exit(f"another program listens on port {port}; stop it, and run make local again")
    with (folder / "moto.log").open("w") as log:
        server = subprocess.Popen(  # noqa: S603 moto, of this environment
            [sys.executable, "-m", "moto.server", "--port", str(port)],
            env={**os.environ, "MOTO_ACCOUNT_ID": stack.account.id},
            stdout=log,
            stderr=log,
            start_new_session=True,  # it outlives this command, and its Ctrl-C
        )
    (folder / "moto.pid").write_text(str(server.pid))
    name = stack.values["aws:assumeRoles"][0]["roleArn"].rpartition("/")[2]
    once = Config(retries={"total_max_attempts": 1}, connect_timeout=2)
    iam = boto3.client("iam", config=once)
    deadline = time.monotonic() + 20  # it takes a few seconds to start
    while server.poll() is None and time.monotonic() < deadline:
        time.sleep(0.2)
        with suppress(EndpointConnectionError):
            # moto lets everybody assume every role, whatever is written there.
            iam.create_role(RoleName=name, AssumeRolePolicyDocument="{}")
            return
    sys.exit(f"moto's server does not answer; {folder}/moto.log says why")


def push() -> None:
    """Push two images to each repository, as a pipeline would, without Docker."""
    ecr = boto3.client("ecr")
    for description in ecr.describe_repositories()["repositories"]:
        repository = Repository(ecr, Reference(name=description["repositoryName"]))
        for tag in BUILDS:
            repository.put(manifest_with(tag), tag)
        repository.put(manifest_with(BUILDS[0]), "latest")


if __name__ == "__main__":
    main(*sys.argv[1:])
