"""Published waypoints of the Mars 2020 rover Perseverance, sols 14 to 204.

Source: NASA/JPL-Caltech, layer M20_waypoints as served by MMGIS (mars.nasa.gov/mmgis-maps): ends
of drives, here one a sol and not every sol. Longitude and latitude are degrees east and north,
planetocentric, rounded to 5 decimals; elevation is metres above the areoid; roll and pitch are
degrees, as measured where the drive ended.
"""

from typing import Final, NamedTuple


class Waypoint(NamedTuple):
    """Where a drive ended, and how the rover stood there."""

    sol: int
    longitude: float
    latitude: float
    altitude_m: float
    roll_deg: float
    pitch_deg: float


WAYPOINTS: Final = (
    Waypoint(14, 77.45095, 18.44454, -2569.9, 1.0, -0.3),
    Waypoint(15, 77.45103, 18.44514, -2569.9, 1.7, -1.7),
    Waypoint(16, 77.4515, 18.44528, -2569.3, -0.3, 2.0),
    Waypoint(20, 77.45186, 18.44515, -2568.9, 1.0, 0.7),
    Waypoint(31, 77.45133, 18.44518, -2569.6, 0.8, -1.4),
    Waypoint(32, 77.4512, 18.4447, -2569.8, 0.3, -0.9),
    Waypoint(47, 77.45153, 18.44478, -2569.5, 2.3, -0.5),
    Waypoint(48, 77.45182, 18.44487, -2569.0, 1.3, 0.3),
    Waypoint(52, 77.45214, 18.44475, -2569.1, 0.2, 0.2),
    Waypoint(66, 77.4523, 18.44453, -2569.3, -0.5, -1.0),
    Waypoint(72, 77.45252, 18.44428, -2569.1, 1.4, 0.7),
    Waypoint(84, 77.45228, 18.44422, -2569.3, 1.1, 1.1),
    Waypoint(91, 77.45221, 18.44388, -2569.2, -0.8, 1.0),
    Waypoint(100, 77.45216, 18.44376, -2569.2, 1.2, 0.4),
    Waypoint(102, 77.45153, 18.44325, -2569.0, 0.7, 2.6),
    Waypoint(103, 77.45119, 18.443, -2568.9, 0.5, -0.1),
    Waypoint(104, 77.45086, 18.44242, -2568.9, -1.5, 0.5),
    Waypoint(105, 77.4507, 18.44201, -2568.5, 1.5, -0.6),
    Waypoint(108, 77.45032, 18.44178, -2568.7, 0.9, -0.5),
    Waypoint(109, 77.44973, 18.44112, -2568.7, 0.8, -1.5),
    Waypoint(110, 77.44964, 18.4402, -2568.9, 0.5, 0.4),
    Waypoint(113, 77.44954, 18.43961, -2569.1, 0.6, 1.0),
    Waypoint(116, 77.4494, 18.43907, -2568.1, 1.9, 4.0),
    Waypoint(122, 77.44941, 18.43957, -2569.0, -2.3, 0.6),
    Waypoint(123, 77.44964, 18.43846, -2568.5, 0.6, 0.8),
    Waypoint(126, 77.44982, 18.43804, -2568.6, 3.6, -3.6),
    Waypoint(129, 77.45041, 18.43704, -2569.2, 1.0, 0.9),
    Waypoint(130, 77.45173, 18.43576, -2570.6, -1.1, -0.3),
    Waypoint(131, 77.45205, 18.43403, -2573.4, -3.6, -1.7),
    Waypoint(134, 77.45229, 18.43248, -2575.2, 0.5, -2.7),
    Waypoint(135, 77.45215, 18.43114, -2580.2, -0.6, -7.2),
    Waypoint(136, 77.45204, 18.43056, -2582.6, 3.4, 5.2),
    Waypoint(137, 77.45215, 18.42998, -2583.8, 3.1, 3.7),
    Waypoint(153, 77.45203, 18.42837, -2585.9, 3.8, 0.6),
    Waypoint(155, 77.45158, 18.42778, -2585.1, 1.0, 3.2),
    Waypoint(168, 77.45161, 18.42725, -2582.8, -0.7, 8.4),
    Waypoint(169, 77.45081, 18.42764, -2585.5, 1.8, -2.6),
    Waypoint(170, 77.4492, 18.42844, -2585.8, 7.6, 2.9),
    Waypoint(171, 77.44768, 18.42955, -2583.7, 8.2, -1.3),
    Waypoint(173, 77.44705, 18.42961, -2581.4, 9.7, 3.0),
    Waypoint(175, 77.44679, 18.42966, -2579.6, -4.4, 19.3),
    Waypoint(177, 77.44545, 18.43051, -2579.4, 6.3, 5.8),
    Waypoint(178, 77.44431, 18.43083, -2574.7, -0.4, -0.5),
    Waypoint(199, 77.44332, 18.43123, -2574.2, -3.3, -0.2),
    Waypoint(200, 77.44069, 18.43255, -2571.8, 0.6, 4.3),
    Waypoint(202, 77.44176, 18.43327, -2575.2, 2.1, 3.0),
    Waypoint(204, 77.44241, 18.4334, -2573.6, -6.5, 3.6),
)
