"""What the tests of who may do what share."""

import pytest


@pytest.fixture(autouse=True)
def _aws(moto_listens: None) -> None:
    """These tests call AWS's own endpoints, where moto answers."""
