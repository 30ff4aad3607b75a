"""One program a geofence: reads telemetry and zones, writes who entered and left what, and when.

An answer is a JSON object a line: ``what`` (entered or exited), ``vehicle_id``, ``zone_id`` and
``time_us``, microseconds since 1970 UTC.
"""
