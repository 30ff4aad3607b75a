"""The report: one self-contained HTML file that tells what was watched and what was found."""

from scripts.report.data import Counts, Relief, ReportData, Track, tracks
from scripts.report.page import render

__all__ = ["Counts", "Relief", "ReportData", "Track", "render", "tracks"]
