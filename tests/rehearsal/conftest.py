"""The rehearsal of the production stack, once for all tests that look at it."""

import contextlib
import io

import pytest

from container_images.rehearsal.rehearse import Rehearsal, rehearse
from container_images.rehearsal.report import print_rehearsal
from container_images.stack.declared import DeclaredStack
from container_images.tags import moves


@pytest.fixture(autouse=True)
def _nothing_is_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    """Moto is not late: a put that it does not show has not been done."""
    monkeypatch.setattr(moves, "sleep", lambda _: None)


def printed(rehearsal: Rehearsal, *, verbose: bool = False) -> str:
    output = io.StringIO()
    with contextlib.redirect_stdout(output):
        print_rehearsal(rehearsal, verbose=verbose)
    return output.getvalue()


@pytest.fixture(scope="session")
def prod_rehearsed(prod: DeclaredStack) -> Rehearsal:
    return rehearse(prod)
