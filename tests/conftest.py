"""Where files are, and what the processes load that run tests."""

from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
FIXTURES = Path(__file__).parent / "fixtures"
"""Stack files for tests. The ones at the top belong to whoever uses the project."""


def pytest_configure(config: pytest.Config) -> None:
    """Load the fixtures, which takes seconds, but where xdist only hands the tests out."""
    if hasattr(config, "workerinput") or not config.getoption("numprocesses", 0):
        for name in ("environment", "cloud", "aws_fixtures"):
            config.pluginmanager.import_plugin(f"tests.{name}")
