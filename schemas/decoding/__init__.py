"""Telemetry decoding: the bytes of messages to one frame, and the records refused with reasons."""

from schemas.decoding.decoder import Decoded, TelemetryDecoder

__all__ = ["Decoded", "TelemetryDecoder"]
