"""Elevation models as files: GeoTIFF (extra ``farwatch[terrain]``), or raw heights beside text."""

from connectors.terrain.opening import open_terrain

__all__ = ["open_terrain"]
