"""`make bench`: every benchmark, one after the other."""

from rich.console import Console

from benchmarks import program

console = Console()
program.main(console)
