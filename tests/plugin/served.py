"""The plugin, asked as Pulumi asks it; and its schema for tests/plugin/schema.json:

python -m tests.plugin.served > tests/plugin/schema.json
"""

import json
import subprocess
import sys
import tempfile
from functools import cache
from typing import Any

import grpc
from pulumi.runtime.proto import provider_pb2, provider_pb2_grpc

from tests.conftest import ROOT

PLUGIN = ROOT / "plugin"


@cache
def schema() -> dict[str, Any]:
    """What `pulumi package add` makes other languages' SDKs from.

    As the Python language host does, this runs the folder, from a directory that is another.
    """
    command = [sys.executable, "-u", str(PLUGIN), "127.0.0.1:9"]
    with (
        tempfile.TemporaryDirectory() as elsewhere,
        subprocess.Popen(command, cwd=elsewhere, stdout=subprocess.PIPE) as process,
    ):
        try:
            assert process.stdout is not None
            port = int(process.stdout.readline())
            with grpc.insecure_channel(f"127.0.0.1:{port}") as channel:
                stub = provider_pb2_grpc.ResourceProviderStub(channel)
                found: dict[str, Any] = json.loads(
                    stub.GetSchema(provider_pb2.GetSchemaRequest()).schema
                )
        finally:
            process.terminate()
    return found


if __name__ == "__main__":
    sys.stdout.write(json.dumps(schema(), indent=2, sort_keys=True) + "\n")
