"""Alarms: their states by ISA-18.2, commands on them, and what is told of them and when."""

from rules.alarms.batches import Pending
from rules.alarms.entries import Handling
from rules.alarms.stage import AlarmState, Alerting, News, advance, release

__all__ = ["AlarmState", "Alerting", "Handling", "News", "Pending", "advance", "release"]
