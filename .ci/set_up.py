"""Install requirements into a virtual environment: with uv where it can be had, else with pip.

    python .ci/set_up.py .venv requirements-dev.txt

uv installs in seconds what takes pip a minute, but it does not read pip's configuration, in which
companies name their mirror of PyPI. It gets what pip has:
https://pip.pypa.io/en/stable/topics/configuration/ and https://docs.astral.sh/uv/reference/environment/.
"""

import ast
import os
import subprocess
import sys
import venv
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Final

UV_VARIABLES: Final = {
    "index-url": ("UV_DEFAULT_INDEX", " "),
    "extra-index-url": ("UV_INDEX", " "),
    "find-links": ("UV_FIND_LINKS", ","),
    "no-index": ("UV_NO_INDEX", " "),
    "trusted-host": ("UV_INSECURE_HOST", " "),
    "timeout": ("UV_HTTP_TIMEOUT", " "),
    "cert": ("SSL_CERT_FILE", " "),
    "proxy": ("ALL_PROXY", " "),
}
"""For each of pip's options: uv's variable, and what separates several values in it."""


def pip_options(listing: str) -> dict[str, list[str]]:
    """The options in what `pip config list` prints, such as `global.index-url='https://…'`.

    The environment wins over files, and pip's section for `install` over the one for all commands.
    """
    options: dict[str, tuple[int, list[str]]] = {}
    for line in listing.splitlines():
        key, _, value = line.partition("=")
        section, _, option = key.rpartition(".")
        rank = {"global": 1, "install": 2, ":env:": 3}.get(section, 0)
        if rank and rank >= options.get(option, (0, []))[0]:
            options[option] = rank, str(ast.literal_eval(value)).split()
    return {option: values for option, (_, values) in options.items()}


def uv_environment(options: Mapping[str, Iterable[str]]) -> dict[str, str]:
    """Pip's options as uv's environment variables."""
    variables = {
        variable: separator.join(options[option])
        for option, (variable, separator) in UV_VARIABLES.items()
        if option in options
    }
    # pip takes the newest version that any of its indexes has; uv, by default, that of the first.
    return {"UV_INDEX_STRATEGY": "unsafe-best-match", **variables}


def install(folder: Path, requirements: list[str]) -> None:
    """Install the requirements. Raises subprocess.CalledProcessError where pip cannot either."""
    python = str(folder / "bin" / "python")
    pip = [python, "-m", "pip", "--quiet", "--disable-pip-version-check"]
    options = [word for file in requirements for word in ("--requirement", file)]
    with_uv = not subprocess.run(
        [*pip, "install", "--constraint", "constraints.txt", "uv"], check=False, capture_output=True
    ).returncode
    if with_uv:
        listing = subprocess.run(
            [python, "-m", "pip", "config", "list"], check=True, capture_output=True, text=True
        ).stdout
        environment = uv_environment(pip_options(listing)) | os.environ
        uv = [str(folder / "bin" / "uv"), "pip", "install", "--quiet", "--python", python]
        if not subprocess.run([*uv, *options], check=False, env=environment).returncode:
            return
        sys.stderr.write("uv could not install them; pip tries\n")
    subprocess.run([*pip, "install", *options], check=True)


def main() -> int:
    """Make the environment if there is none, and install."""
    folder, *requirements = sys.argv[1:]
    sys.stderr.write(f"Setting up {folder} for {' and '.join(requirements)}\n")
    if not (Path(folder) / "bin" / "python").exists():
        venv.create(folder, with_pip=True)
    try:
        install(Path(folder), requirements)
    except subprocess.CalledProcessError as error:
        return error.returncode
    return 0


if __name__ == "__main__":
    sys.exit(main())
