"""The benchmark: the columnar watch against one Python call a message.

``python -m scripts.benchmark --help`` tells how to run it; ``main`` is its typer command.
"""

from scripts.benchmark.command import main as main
