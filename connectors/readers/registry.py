"""The formats by name, as ``--format`` takes them: ``NAME`` or ``NAME:ARGUMENT``."""

from collections.abc import Callable
from difflib import get_close_matches
from pathlib import Path
from typing import Final

from connectors.readers.contract import FormatError, Reader
from connectors.readers.delimited import DelimitedReader
from connectors.readers.marinecadastre import MarineCadastreReader
from connectors.readers.mars2020 import TraverseReader, WaypointReader
from connectors.readers.ndjson import NdjsonReader
from connectors.readers.remus import RemusReader

FORMATS: Final = {
    "ndjson": "telemetry objects, one a line, or one JSON array",
    "csv": "CSV or TSV by csv:MAPPING.toml, which says what each column means",
    "mars2020-waypoints": "Perseverance waypoints, GeoJSON of NASA's location map",
    "mars2020-traverse": "Perseverance drives, GeoJSON of NASA's location map",
    "marinecadastre": "AIS vessel positions, CSV of MarineCadastre",
    "remus": "REMUS AUV message files; remus:VEHICLE_ID names the vehicle",
}
"""Name -> one line that says what it reads."""

_PLAIN: Final[dict[str, Callable[[], Reader]]] = {
    "ndjson": NdjsonReader,
    "mars2020-waypoints": WaypointReader,
    "mars2020-traverse": TraverseReader,
    "marinecadastre": MarineCadastreReader,
    "remus": RemusReader,
}
_WITH_ARGUMENT: Final[dict[str, Callable[[str], Reader]]] = {
    "csv": lambda mapping: DelimitedReader(Path(mapping)),
    "remus": RemusReader,
}


def reader_for(format_spec: str) -> Reader:
    """The reader a format asks for.

    Raises FormatError for a name nobody knows or an argument that is missing, wrong or not
    taken; the MappingError of a CSV mapping, which is one, lists every mistake in it.
    """
    name, _, argument = format_spec.partition(":")
    if name not in FORMATS:
        close = get_close_matches(name, FORMATS, 1)
        hint = f"did you mean {close[0]}? " if close else ""
        raise FormatError(f"unknown format {name!r}; {hint}known are {', '.join(FORMATS)}")
    if argument and name in _WITH_ARGUMENT:
        return _WITH_ARGUMENT[name](argument)
    if argument:
        raise FormatError(f"format {name} takes no argument, got {argument!r}; use {name}")
    if name not in _PLAIN:
        raise FormatError(f"format {name} needs a mapping file; use {name}:MAPPING.toml")
    return _PLAIN[name]()
