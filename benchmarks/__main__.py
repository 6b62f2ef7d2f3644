"""`make bench`: every benchmark, one after the other."""

from rich.console import Console

from benchmarks import lifecycle, movers, program, registry

console = Console()
program.main(console)
registry.main(console)
lifecycle.main(console)
movers.main(console)
