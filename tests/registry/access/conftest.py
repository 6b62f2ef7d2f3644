"""What the tests of who may do what share."""

import subprocess
import sys

import pytest

from tests.conftest import ROOT


@pytest.fixture(scope="session")
def prod_plan() -> str:
    """What the rehearsal prints of the production stack's plan."""
    printed = subprocess.run(
        [sys.executable, "-m", "rehearsal", "--stack", "prod", "--plan-only", "--json"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    return printed.stdout
