"""``python -m scripts.scenario --out DIR [--seed N] [--records N]``: writes the scenario."""

import argparse
from pathlib import Path

from rich.console import Console

from scripts.scenario import RECORDS, write_scenario


def main() -> None:
    """Reads the command line and writes the scenario."""
    parser = argparse.ArgumentParser(prog="python -m scripts.scenario", description=__doc__)
    parser.add_argument("--out", type=Path, required=True, metavar="DIR")
    parser.add_argument("--seed", type=int, default=1, metavar="N")
    parser.add_argument("--records", type=int, default=RECORDS, metavar="N")
    options = parser.parse_args()
    try:
        write_scenario(options.out, seed=options.seed, records=options.records)
    except (ValueError, OSError) as error:
        parser.error(str(error))
    Console().print(f"{options.records} records, zones and rules written to {options.out}")


if __name__ == "__main__":
    main()
