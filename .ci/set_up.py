"""Install requirements into a virtual environment: with uv where it can be had, else with pip.

    python .ci/set_up.py .venv requirements-dev.txt

uv installs in seconds what takes pip a minute, but it does not read pip's configuration, in which
companies name their mirror of PyPI. It gets what pip has:
https://pip.pypa.io/en/stable/topics/configuration/ and https://docs.astral.sh/uv/reference/environment/.
"""

import ast
import os
import re
import subprocess
import sys
import venv
from pathlib import Path
from typing import Final

UV_VARIABLES: Final = {
    "index-url": "UV_DEFAULT_INDEX",
    "extra-index-url": "UV_INDEX",
    "cert": "SSL_CERT_FILE",
    "proxy": "ALL_PROXY",
}


def uv_environment(listing: str) -> dict[str, str]:
    """What `pip config list` prints, such as `global.index-url='https://…'`, as uv's variables."""
    # pip takes the newest version that any of its indexes has; uv, by default, that of the first.
    environment = {"UV_INDEX_STRATEGY": "unsafe-best-match"}
    # The environment wins over files, and pip's section for `install` over the one for all.
    for section in ("global", "install", ":env:"):
        for option, value in re.findall(rf"^{section}\.([\w-]+)=(.*)$", listing, re.MULTILINE):
            if option in UV_VARIABLES:
                environment[UV_VARIABLES[option]] = " ".join(ast.literal_eval(value).split())
    return environment


def install(python: str, requirements: list[str]) -> int:
    """Install the requirements. Returns the exit status."""
    pip = [python, "-m", "pip", "--quiet", "--disable-pip-version-check"]
    options = [word for file in requirements for word in ("--requirement", file)]
    get_uv = [*pip, "install", "--constraint", "constraints.txt", "uv"]
    if not subprocess.run(get_uv, check=False, capture_output=True).returncode:
        config = [python, "-m", "pip", "config", "list"]  # which --quiet would silence
        listing = subprocess.run(config, check=True, capture_output=True, text=True)
        environment = uv_environment(listing.stdout) | os.environ
        uv = [python, "-m", "uv", "pip", "install", "--quiet", "--python", python, *options]
        if not subprocess.run(uv, check=False, env=environment).returncode:
            return 0
        sys.stderr.write("uv could not install them; pip tries\n")
    return subprocess.run([*pip, "install", *options], check=False).returncode


if __name__ == "__main__":
    folder, *files = sys.argv[1:]
    sys.stderr.write(f"Setting up {folder} for {' and '.join(files)}\n")
    python = Path(folder) / "bin" / "python"
    if not python.exists():
        venv.create(folder, with_pip=True)
    sys.exit(install(str(python), files))
