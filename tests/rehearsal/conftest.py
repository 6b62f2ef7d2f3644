"""The rehearsal of the production stack, once for all tests that look at it."""

import contextlib
import io
from typing import Any

import pytest

from container_images.cli.rehearse import print_rehearsal
from container_images.rehearsal.rehearse import rehearse
from container_images.stack.declared import DeclaredStack
from container_images.tags import moves

Rehearsed = tuple[dict[str, Any], list[str]]


@pytest.fixture(autouse=True)
def _nothing_is_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    """Moto is not late: a put that it does not show has not been done."""
    monkeypatch.setattr(moves, "sleep", lambda _: None)


def printed(rehearsed: Rehearsed, *, verbose: bool = False) -> str:
    output = io.StringIO()
    with contextlib.redirect_stdout(output):
        print_rehearsal(*rehearsed, verbose=verbose)
    return output.getvalue()


@pytest.fixture(scope="session")
def prod_rehearsed(prod: DeclaredStack) -> Rehearsed:
    return rehearse(prod)
