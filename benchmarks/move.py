"""How long `container-images move` takes, beside the least that any boto3 program would.

The floor is a bare Python process that makes two calls with boto3, reading a manifest and putting
it. Both talk to a moto server on this machine, so what is measured is everything but AWS.
"""

import logging
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

import boto3
from moto.server import ThreadedMotoServer
from rich.console import Console

from container_images.aws.images import Repository
from container_images.aws.reference import Reference
from container_images.rehearsal.pipeline import manifest_with

RUNS: Final = 15
TARGET: Final = 1.25

_REGION: Final = "eu-west-2"
_REPOSITORY: Final = "forms-admin-deploy"
_MEDIA_TYPE: Final = "application/vnd.oci.image.manifest.v1+json"

_FLOOR: Final = """
import sys
import boto3
ecr = boto3.client("ecr")
repository, digest, media_type = sys.argv[1:]
answer = ecr.batch_get_image(
    repositoryName=repository,
    imageIds=[{"imageDigest": digest}],
    acceptedMediaTypes=[media_type],
)
ecr.put_image(
    repositoryName=repository,
    imageManifest=answer["images"][0]["imageManifest"],
    imageManifestMediaType=media_type,
    imageDigest=digest,
    imageTag="latest",
)
"""


def main(console: Console) -> None:
    """Measure, and print the medians and their ratio."""
    with _server() as endpoint:
        environment = _environment(endpoint)
        first, second = _images(endpoint)
        bare = ["-c", _FLOOR, _REPOSITORY, first, _MEDIA_TYPE]
        move = ["-m", "container_images", "move", _REPOSITORY, second]
        # Each moves the tag, which the other has just taken back. In turn, so that whatever else
        # the machine does meets both alike. The first of each warms up.
        seconds = [(_run(bare, environment), _run(move, environment)) for _ in range(RUNS + 1)][1:]
    floor, ours = (statistics.median(times) for times in zip(*seconds, strict=True))
    console.print(
        f"container-images move, the whole process, median of {RUNS} runs\n"
        f"  two bare boto3 calls      {floor * 1000:5.0f} ms\n"
        f"  container-images move   {ours * 1000:5.0f} ms\n"
        f"  ratio                     {ours / floor:5.2f}, target: at most {TARGET}"
    )


def _run(arguments: list[str], environment: dict[str, str]) -> float:
    """Seconds that a Python of its own takes."""
    start = time.perf_counter()
    subprocess.run(  # noqa: S603 our own programs
        [sys.executable, *arguments], env=environment, check=True, stdout=subprocess.DEVNULL
    )
    return time.perf_counter() - start


@contextmanager
def _server() -> Iterator[str]:
    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    server = ThreadedMotoServer(port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    try:
        yield f"http://{host}:{port}"
    finally:
        server.stop()


def _environment(endpoint: str) -> dict[str, str]:
    """Our own, with the AWS at the endpoint and no other."""
    ours = {name: value for name, value in os.environ.items() if not name.startswith("AWS_")}
    return ours | {
        "AWS_ENDPOINT_URL": endpoint,
        "AWS_ACCESS_KEY_ID": "benchmark",
        "AWS_SECRET_ACCESS_KEY": "benchmark",
        "AWS_DEFAULT_REGION": _REGION,
        "AWS_CONFIG_FILE": os.devnull,
        "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
    }


def _images(endpoint: str) -> list[str]:
    """Digests of two builds, the older one first. The tag is on the other."""
    ecr = boto3.client(
        "ecr",
        endpoint_url=endpoint,
        region_name=_REGION,
        aws_access_key_id="benchmark",
        aws_secret_access_key="benchmark",  # noqa: S106 of no account
    )
    ecr.create_repository(repositoryName=_REPOSITORY)
    repository = Repository(ecr, Reference(name=_REPOSITORY))
    digests = []
    for number, commit in enumerate(("a" * 40, "b" * 40)):
        manifest = manifest_with(commit)
        for tag in (f"merged-{commit}-{1_764_000_000 + number}", "latest"):
            repository.put(manifest, tag)
        digests.append(manifest.digest)
    return digests
