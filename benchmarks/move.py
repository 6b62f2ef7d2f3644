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
from typing import Any, Final

import boto3
from moto.server import ThreadedMotoServer
from rich.console import Console

from container_images.aws.images import Repository, digest_of
from container_images.aws.reference import Reference
from container_images.rehearsal.pipeline import manifest_with

RUNS: Final = 15
_REPOSITORY: Final = "forms-admin-deploy"

_FLOOR: Final = """
import sys
import boto3
ecr, (repository, digest) = boto3.client("ecr"), sys.argv[1:]
ids, types = [{"imageDigest": digest}], ["application/vnd.oci.image.manifest.v1+json"]
answer = ecr.batch_get_image(repositoryName=repository, imageIds=ids, acceptedMediaTypes=types)
ecr.put_image(
    repositoryName=repository,
    imageManifest=answer["images"][0]["imageManifest"],
    imageManifestMediaType=types[0],
    imageDigest=digest,
    imageTag="latest",
)
"""


def main(console: Console) -> None:
    """Measure, and print the medians and their ratio."""
    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    server = ThreadedMotoServer(port=0, verbose=False)
    server.start()
    for name in [name for name in os.environ if name.startswith("AWS_")]:
        del os.environ[name]
    os.environ |= {
        "AWS_ENDPOINT_URL": "http://{}:{}".format(*server.get_host_and_port()),
        "AWS_ACCESS_KEY_ID": "benchmark",
        "AWS_SECRET_ACCESS_KEY": "benchmark",
        "AWS_DEFAULT_REGION": "eu-west-2",
        "AWS_CONFIG_FILE": os.devnull,
        "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
    }
    ecr = boto3.client("ecr")
    ecr.create_repository(repositoryName=_REPOSITORY)
    first, second = (_push(ecr, number) for number in range(2))
    bare = ["-c", _FLOOR, _REPOSITORY, first]
    move = ["-m", "container_images", "move", _REPOSITORY, second]
    # Each moves the tag, which the other has just taken back. The first of each warms up.
    seconds = [(_run(bare), _run(move)) for _ in range(RUNS + 1)][1:]
    server.stop()
    floor, ours = (statistics.median(times) for times in zip(*seconds, strict=True))
    console.print(
        f"container-images move, the whole process, median of {RUNS} runs\n"
        f"  two bare boto3 calls    {floor * 1000:5.0f} ms\n"
        f"  container-images move   {ours * 1000:5.0f} ms\n"
        f"  ratio                   {ours / floor:5.2f}, target: at most 1.25"
    )


def _run(arguments: list[str]) -> float:
    """Seconds that a Python of its own takes."""
    start = time.perf_counter()
    command = [sys.executable, *arguments]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)  # noqa: S603 our own programs
    return time.perf_counter() - start


def _push(ecr: Any, number: int) -> str:
    """A build, which latest is on then. Returns its digest."""
    manifest = manifest_with(f"build {number}")
    repository = Repository(ecr, Reference(name=_REPOSITORY))
    for tag in (f"merged-{str(number) * 40}-{1_764_000_000 + number}", "latest"):
        repository.put(manifest, tag)
    return digest_of(manifest)
