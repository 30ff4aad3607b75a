"""The AUV fleet: ten vehicles at work in contract areas, with one planned fault each for some."""

from dataclasses import dataclass
from enum import Enum
from typing import Final


class Fault(Enum):
    """What goes wrong on a vehicle's dive, always from some moment of the survey on."""

    NONE = "none"
    DRIFT = "a current sets the survey south, unnoticed"
    LEAK = "water in the hull"
    BATTERY = "a battery that empties too fast"
    BOTTOM = "terrain following fails for a while"
    PRESSURE = "the pressure sensor fails: depth unknown"
    DOPPLER = "the Doppler log is lost: dead reckoning grows bad"


@dataclass(frozen=True, slots=True)
class Vehicle:
    """One AUV: where its ship waits (degrees), what goes wrong, and on which dive (from 0)."""

    vehicle_id: str
    ship_longitude: float
    ship_latitude: float
    fault: Fault = Fault.NONE
    dive: int = 0


FLEET: Final = (
    # Off Ifremer's southern edge, which is APEI-4's northern one.
    Vehicle("auv-mako", -150.30, 8.33, Fault.DRIFT, dive=1),
    Vehicle("auv-thresher", -117.28, 10.40, Fault.LEAK, dive=2),
    # Its survey passes the mooring that is to be kept clear of.
    Vehicle("auv-hammerhead", -117.26, 10.50),
    # Its lanes cross the edge between TOML-F and NORI-D; its ship waits in the traffic lane.
    Vehicle("auv-lantern", -117.83, 10.70, Fault.DOPPLER, dive=0),
    Vehicle("auv-goblin", -152.10, 7.70, Fault.BATTERY, dive=1),
    Vehicle("auv-basking", -127.20, 15.00, Fault.PRESSURE, dive=1),
    Vehicle("auv-frilled", -125.60, 14.80),
    Vehicle("auv-sixgill", -118.60, 12.50, Fault.BOTTOM, dive=2),
    Vehicle("auv-porbeagle", -126.30, 15.20),
    Vehicle("auv-wobbegong", -130.62, 10.10),
)
