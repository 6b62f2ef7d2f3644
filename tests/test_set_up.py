"""The script that installs the requirements: uv gets what pip is configured with."""

import runpy
import subprocess
import sys

import pytest

from tests.conftest import ROOT

uv_environment = runpy.run_path(str(ROOT / ".ci" / "set_up.py"))["uv_environment"]


@pytest.mark.parametrize(
    ("listing", "expected"),
    [
        ("", {}),
        ("global.index-url='https://a'", {"UV_DEFAULT_INDEX": "https://a"}),
        (
            "install.index-url='https://b'\nglobal.index-url='https://a'",
            {"UV_DEFAULT_INDEX": "https://b"},
        ),
        (
            ":env:.index-url='https://c'\ninstall.index-url='https://b'",
            {"UV_DEFAULT_INDEX": "https://c"},
        ),
        (
            r"global.extra-index-url='\nhttps://a\nhttps://b'" + "\n:env:.find-links='/a /b'",
            {"UV_INDEX": "https://a https://b", "UV_FIND_LINKS": "/a,/b"},
        ),
        (":env:.cert='/ca.pem'", {"SSL_CERT_FILE": "/ca.pem"}),
        ("freeze.index-url='https://a'\nglobal.quiet='1'", {}),
    ],
)
def test_uv_takes_the_options_of_pip(listing: str, expected: dict[str, str]) -> None:
    assert uv_environment(listing) == {"UV_INDEX_STRATEGY": "unsafe-best-match", **expected}


def test_the_installed_pip_lists_its_options_so() -> None:
    mirror = "https://pip.example.org/simple"
    listing = subprocess.run(
        [sys.executable, "-m", "pip", "config", "list"],
        env={"PIP_INDEX_URL": mirror},
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    assert uv_environment(listing)["UV_DEFAULT_INDEX"] == mirror
