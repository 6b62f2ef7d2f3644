"""The plugin, asked as Pulumi asks it; and its schema for tests/plugin/schema.json:

python -m tests.plugin.served > tests/plugin/schema.json
"""

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any

import grpc
from pulumi.runtime.proto import provider_pb2, provider_pb2_grpc

from tests.conftest import ROOT

PLUGIN = ROOT / "plugin"


@contextmanager
def serving(*arguments: str, cwd: Path | str, **environment: str) -> Iterator[grpc.Channel]:
    """A channel to what a language host starts, which prints the port where it listens."""
    command, variables = [sys.executable, "-u", *arguments], os.environ | environment
    with subprocess.Popen(command, cwd=cwd, stdout=subprocess.PIPE, env=variables) as process:
        try:
            assert process.stdout is not None
            port = int(process.stdout.readline())
            with grpc.insecure_channel(f"127.0.0.1:{port}") as channel:
                yield channel
        finally:
            process.terminate()


@cache
def schema() -> dict[str, Any]:
    """What `pulumi package add` makes other languages' SDKs from.

    As the Python language host does, this runs the folder, from a directory that is another.
    """
    with (
        tempfile.TemporaryDirectory() as elsewhere,
        serving(str(PLUGIN), "127.0.0.1:9", cwd=elsewhere) as channel,
    ):
        provider = provider_pb2_grpc.ResourceProviderStub(channel)
        text = provider.GetSchema(provider_pb2.GetSchemaRequest()).schema
    parsed: dict[str, Any] = json.loads(text)
    return parsed


if __name__ == "__main__":
    sys.stdout.write(json.dumps(schema(), indent=2, sort_keys=True) + "\n")
