"""``python -m scripts.benchmark``."""

import typer

from scripts.benchmark.command import main

if __name__ == "__main__":
    typer.run(main)
