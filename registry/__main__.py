"""`python -m registry`: what a tag means, who moved it, and moving it."""

from registry.cli import app

app(prog_name="python -m registry")
