"""`container-images policy-pack`: the folder that Pulumi's --policy-pack takes."""

import json
import os
import sys
from importlib.metadata import version
from pathlib import Path
from typing import Final

import click

from container_images.aws.errors import RefusedError
from container_images.cli.targets import json_option
from container_images.cli.terminal import print_json

WRITTEN: Final = "# Written by `container-images policy-pack`.\n"
"""The first line of each file: one that begins otherwise is somebody else's."""


@click.command("policy-pack")
@click.argument("folder", type=click.Path(file_okay=False, path_type=Path), metavar="DIR")
@json_option
def policy_pack_command(*, folder: Path, as_json: bool) -> None:
    """Write the folder that Pulumi's option --policy-pack takes.

    It runs in the virtual environment that runs this command, and is written again after an
    upgrade.
    """
    version("pulumi-policy")  # or an error: the extra is not installed
    installed = version("container-images")
    options = {"toolchain": "pip"}
    if sys.prefix != sys.base_prefix:  # seen from the folder, it is the same in another checkout
        options["virtualenv"] = os.path.relpath(sys.prefix, folder.resolve())
    manifest = {
        "description": "Guarded ECR repositories and pinned production images (ADR040)",
        "version": installed,
        "runtime": {"name": "python", "options": options},
    }
    files = {
        "PulumiPolicy.yaml": f"{json.dumps(manifest, indent=2)}\n",  # JSON is YAML
        "__main__.py": "from container_images.policypack.pack import serve\n\nserve()\n",
        "requirements.txt": f"container-images[policy-pack]=={installed}\n",
    }
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for file in map(folder.joinpath, files):
            if file.exists() and not file.read_text("utf-8").startswith(WRITTEN):
                raise RefusedError(f"{folder} has another {file.name}: name a folder for this pack")
        for name, text in files.items():
            (folder / name).write_text(WRITTEN + text, encoding="utf-8")
    except OSError as error:
        raise RefusedError(f"{folder} cannot be written: {error.strerror}") from None
    if as_json:
        print_json({"folder": str(folder), "version": installed, "files": [*files]})
    else:
        click.echo(f"Wrote {folder}. Next: pulumi preview --policy-pack {folder}")
