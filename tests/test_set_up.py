"""The script that installs the requirements: uv gets what pip is configured with."""

import runpy

from tests.conftest import ROOT

uv_environment = runpy.run_path(str(ROOT / ".ci" / "set_up.py"))["uv_environment"]


def test_uv_takes_the_options_of_pip() -> None:
    several = r"global.extra-index-url='\nhttps://a\nhttps://b'" + "\n:env:.find-links='/a /b'"
    b = "install.index-url='https://b'"
    for listing, expected in (
        ("freeze.index-url='https://a'\nglobal.quiet='1'", {}),
        (f"{b}\nglobal.index-url='https://a'", {"UV_DEFAULT_INDEX": "https://b"}),
        (f":env:.index-url='https://c'\n{b}", {"UV_DEFAULT_INDEX": "https://c"}),
        (several, {"UV_INDEX": "https://a https://b", "UV_FIND_LINKS": "/a,/b"}),
    ):
        assert uv_environment(listing) == {"UV_INDEX_STRATEGY": "unsafe-best-match", **expected}
