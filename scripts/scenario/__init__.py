"""The shipped scenario: an AUV fleet in the Clarion-Clipperton Zone and a rover in Jezero crater.

Everything is simulated from a seed; what is published fact (areas, waypoints) names its source.
"""

from scripts.scenario.telemetry import RECORDS, write_telemetry
from scripts.scenario.write import write_scenario

__all__ = ["RECORDS", "write_scenario", "write_telemetry"]
