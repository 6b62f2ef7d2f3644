"""`make bench`: every benchmark, one after the other."""

from rich.console import Console

from benchmarks import lifecycle, program, registry

console = Console()
program.main(console)
registry.main(console)
lifecycle.main(console)
