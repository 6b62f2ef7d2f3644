"""The script that installs the requirements: uv gets what pip is configured with."""

import runpy

import pytest

from tests.conftest import ROOT

uv_environment = runpy.run_path(str(ROOT / ".ci" / "set_up.py"))["uv_environment"]


@pytest.mark.parametrize(
    ("listing", "expected"),
    [
        ("", {}),
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
        ("freeze.index-url='https://a'\nglobal.quiet='1'", {}),
    ],
)
def test_uv_takes_the_options_of_pip(listing: str, expected: dict[str, str]) -> None:
    assert uv_environment(listing) == {"UV_INDEX_STRATEGY": "unsafe-best-match", **expected}
