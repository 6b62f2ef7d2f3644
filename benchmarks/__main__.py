"""`make bench`: every benchmark, one after the other."""

from benchmarks import lifecycle, move, program

if __name__ == "__main__":
    from rich.console import Console

    console = Console()
    program.main(console)
    move.main(console)
    lifecycle.main(console)
