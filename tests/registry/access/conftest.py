"""What the tests of who may do what share."""

import json

import pytest

from tests.conftest import ROOT
from tests.rehearsal.conftest import told


@pytest.fixture(scope="session")
def prod_plan() -> str:
    """What the rehearsal prints of the production stack's plan."""
    return json.dumps(told(ROOT, "prod", plan_only=True).json)
