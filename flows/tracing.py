"""Traces switched on: spans go to an OpenTelemetry collector by OTLP over HTTP."""

from typing import TYPE_CHECKING, Final

from connectors.contract import SettingsError
from connectors.tracing import TRACING
from flows.settings import Settings

if TYPE_CHECKING:
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import SpanExporter


EXPORT_S: Final = 3.0
"""How long spans are tried to be told, and how long the end of a flow may so be held up."""


def start_tracing(settings: Settings, flow: str) -> None:
    """Make spans from now on where the settings say where to send them.

    What a collector does not take in time is dropped: no result waits for it.

    Raises:
        SettingsError: the URL is none of a collector.
    """
    if settings.traces:
        trace_to(_exporter(settings.traces), settings.trace_ratio, flow)


def trace_to(exporter: "SpanExporter", ratio: float, flow: str) -> "TracerProvider":
    """Make spans for ``exporter``, of ``ratio`` of the traces that begin here."""
    # Slow to import, and only wanted where traces are.
    from opentelemetry.sdk.resources import Resource  # noqa: PLC0415
    from opentelemetry.sdk.trace import TracerProvider  # noqa: PLC0415
    from opentelemetry.sdk.trace.export import BatchSpanProcessor  # noqa: PLC0415
    from opentelemetry.sdk.trace.sampling import ParentBased, TraceIdRatioBased  # noqa: PLC0415

    provider = TracerProvider(
        resource=Resource.create({"service.name": "farwatch", "farwatch.flow": flow}),
        sampler=ParentBased(TraceIdRatioBased(ratio)),
    )
    # Told at the end of the process, too: the provider says so by itself.
    provider.add_span_processor(BatchSpanProcessor(exporter))
    TRACING.tracer = provider.get_tracer("farwatch")
    return provider


def _exporter(url: str) -> "SpanExporter":
    # Slow to import, as the others.
    from connectors.otlp import OtlpSpans  # noqa: PLC0415

    if not url.startswith(("http://", "https://")):
        raise SettingsError(
            f"setting `traces` `{url}`: is no URL of a collector; write `http://HOST:4318/v1/traces`"
        )
    return OtlpSpans(url, EXPORT_S)
