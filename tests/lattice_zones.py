"""Zones on a coarse lattice, for property tests: boxes, holes, slants, polar caps, parts."""

from hypothesis import strategies as st

from rules.zone_geometry import ZoneGeometryError, zone_shapes
from schemas.frame import BODIES
from schemas.geojson import Area
from schemas.zone import Zone

# Coordinates on a coarse lattice make shared edges, shared vertices and positions exactly on them
# the rule instead of the exception.
LATTICE = 1 / 4


def box(west, south, east, north):
    return [[west, south], [east, south], [east, north], [west, north], [west, south]]


@st.composite
def rings(draw):
    """Polygons by their rings: boxes, tiny ones, boxes with holes, slanted ones, caps of a pole."""
    west = draw(st.sampled_from([-180, -30, -2, 0, 171, 176, 179, 180])) + LATTICE * draw(
        st.integers(-8, 8)
    )
    south = draw(st.sampled_from([-90, -12, 0, 80])) + LATTICE * draw(st.integers(0, 8))
    width, height = (LATTICE * draw(st.integers(1, 24)) for _ in range(2))
    shape = draw(st.sampled_from(["box", "tiny", "hole", "slanted", "cap"]))
    if shape == "tiny":
        return [box(west, south, west + 1e-5, south + 2e-5)]
    if shape == "slanted":
        tip = west + LATTICE * draw(st.integers(-8, 8))
        return [[[west, south], [west + width, south + height / 2], [tip, south + height],
                 [west, south]]]  # fmt: skip
    if shape == "cap":
        latitude = draw(st.sampled_from([-80, -60, 60, 85]))
        return [[[lon, latitude] for lon in (-150, -30, 90, 170, 181, -150)]]
    outer = box(west, south, west + width, south + height)
    if shape == "hole":
        a, b = width / 4, height / 4
        return [outer, box(west + a, south + b, west + 3 * a, south + 3 * b)]
    return [outer]


@st.composite
def zone_sets(draw):
    polygons = draw(st.lists(rings(), min_size=1, max_size=6))
    bodies = draw(st.lists(st.sampled_from(BODIES), min_size=6, max_size=6))
    zones = [
        Zone(id=f"z{i}", body=body, geometry=Area([polygon]))
        for i, (polygon, body) in enumerate(zip(polygons, bodies, strict=False))
    ]
    return [zone for zone in zones if is_area(zone)] or [
        Zone(id="only", geometry=Area([[box(0, 0, 1, 1)]]))
    ]


def is_area(zone):
    try:
        zone_shapes([zone])
    except ZoneGeometryError:
        return False
    return True
