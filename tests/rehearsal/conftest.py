"""The rehearsal of the production stack, once for all tests that look at it."""

import contextlib
import io
import json
from dataclasses import replace
from typing import Any

import pytest

from container_images.rehearsal.rehearse import Rehearsal, rehearse
from container_images.rehearsal.report import print_rehearsal
from container_images.settings.stack_file import StackFile
from container_images.stack.declared import DeclaredStack, declared_in
from container_images.tags import moves


@pytest.fixture(autouse=True)
def _nothing_is_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    """Moto is not late: a put that it does not show has not been done."""
    monkeypatch.setattr(moves, "sleep", lambda _: None)


def declared_by(file: StackFile, **changes: Any) -> DeclaredStack:
    """What a stack's file declares, with other values under some keys; None takes a key away."""
    config = {**file.config}
    for key, value in changes.items():
        config.pop(f"container-images:{key}", None)
        if value is not None:
            text = value if isinstance(value, str) else json.dumps(value)
            config[f"container-images:{key}"] = text
    return declared_in(replace(file, config=config), file.account)


def printed(rehearsal: Rehearsal, *, verbose: bool = False) -> str:
    output = io.StringIO()
    with contextlib.redirect_stdout(output):
        print_rehearsal(rehearsal, verbose=verbose)
    return output.getvalue()


@pytest.fixture(scope="session")
def prod_rehearsed(prod: StackFile) -> Rehearsal:
    return rehearse(declared_by(prod))
