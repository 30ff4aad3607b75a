"""Readers of rows on arbitrary bytes: they never raise, lose nothing, and write only records."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connectors.readers.contract import Reader
from connectors.readers.delimited import DelimitedReader
from connectors.readers.marinecadastre import MarineCadastreReader
from connectors.readers.remus import RemusReader

MAPPING = """
sensors = "rest"
[time]
column = "t"
format = "epoch_s"
[fields]
vehicle_id = {column = "id"}
sequence = {column = "n"}
speed_mps = {column = "v", unit = "km/h"}
"""
REMUS_HEADER = (
    b"Message Id[unsigned short|#],Timestamp[unsigned long|epoch],Depth[float|Meters],"
    b"Message[signed char(9)|ascii]\n"
)
AIS_HEADER = b"MMSI,BaseDateTime,LAT,LON,SOG,COG\n"

# Pieces that come together as rows, nearly rows, and nonsense.
PIECES = st.sampled_from(
    [
        *(b"\n", b"\r\n", b",", b'"', b"\xff", b"\xb0", b"\x00", b"9" * 30, b"1e999", b"-0"),
        *(b"1419009477", b"367752440,2023-01-11T00:00:00,43.07,-70.75,10.0,-60.6\n"),
        *(b"1000,1419009477,5.5,fine\n", b"a,1419009477,7,1.5,2\n", REMUS_HEADER, b"Message Id["),
    ]
)
CONTENT = st.lists(st.one_of(PIECES, st.binary(max_size=6)), max_size=30).map(b"".join)


def delimited(folder: Path) -> Reader:
    (folder / "mapping.toml").write_text(MAPPING)
    return DelimitedReader(folder / "mapping.toml")


@pytest.mark.parametrize(
    ("header", "make"),
    [
        (b"id,t,n,v,x\n", delimited),
        (AIS_HEADER, lambda _: MarineCadastreReader()),
        (REMUS_HEADER, lambda _: RemusReader()),
    ],
)
@given(content=CONTENT, rows=st.integers(1, 5))
def test_any_bytes_become_records_or_rejects_and_resume_anywhere(
    tmp_path_factory: pytest.TempPathFactory,
    header: bytes,
    make: Callable[[Path], Reader],
    content: bytes,
    rows: int,
) -> None:
    folder = tmp_path_factory.getbasetemp()
    reader, path = make(folder), folder / "drawn.csv"
    path.write_bytes(header + content)
    chunks = list(reader.read(path, None, rows))
    for index, chunk in enumerate(chunks):
        assert list(reader.read(path, chunk.resume, rows)) == chunks[index + 1 :]
        lines = chunk.message.body.split(b"\n") if chunk.message else []
        for record in filter(None, lines):
            assert "timestamp" in json.loads(record)
        for reject in chunk.rejects:
            assert reject.raw in content
            assert len(reject.reason) < 200
    if chunks:
        assert chunks[-1].bytes_done == len(header + content)
