"""Scripts, run as CI runs them."""

import os
import shutil
import subprocess
from pathlib import Path

from tests.conftest import ROOT


def run(*command: str, folder: Path = ROOT, **environment: str) -> subprocess.CompletedProcess[str]:
    """A script of the repository, or the text after -c, with PATH alone of the environment."""
    return subprocess.run(
        [shutil.which("bash") or "bash", "--noprofile", "--norc", "-eo", "pipefail", *command],
        cwd=folder,
        env={"PATH": os.environ["PATH"], **environment},
        capture_output=True,
        text=True,
        check=False,
    )
