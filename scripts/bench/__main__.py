"""``python -m scripts.bench``."""

import typer

from scripts.bench.command import main

if __name__ == "__main__":
    typer.run(main)
