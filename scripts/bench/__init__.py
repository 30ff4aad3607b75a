"""The benchmark: the columnar watch against one Python call a message.

``python -m scripts.bench --help`` tells how to run it; ``main`` is its typer command.
"""

from scripts.bench.command import main as main
