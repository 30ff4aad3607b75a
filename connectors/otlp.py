"""Spans to an OpenTelemetry collector: OTLP over HTTP in its JSON form.

Source: OpenTelemetry Protocol Specification 1.x, "OTLP/HTTP" and "JSON Protobuf Encoding": ids are
hexadecimal, 64-bit integers are text, enumerations are numbers.
"""

import gzip
import json
import logging
import os
from collections.abc import Mapping, Sequence
from typing import Any, Final
from urllib.parse import unquote

import urllib3
from opentelemetry.sdk.trace import Event, ReadableSpan
from opentelemetry.sdk.trace.export import SpanExporter, SpanExportResult
from opentelemetry.trace import Link, SpanContext
from opentelemetry.util.types import Attributes

from connectors.registry import masked

HEADERS: Final = "OTEL_EXPORTER_OTLP_HEADERS"
"""Headers of each request, ``name=value,name=value``, values percent-encoded: where a collector
asks who sends. The variable is that of every OpenTelemetry exporter."""
CERTIFICATE: Final = "OTEL_EXPORTER_OTLP_CERTIFICATE"
"""File of the authorities that the collector's certificate is checked by; none = the system's."""

_logger = logging.getLogger(__name__)


class OtlpSpans(SpanExporter):
    """Sends spans to ``url``, each batch once: what the collector does not take is dropped.

    ``timeout_s``: for each batch. That spans are dropped is logged when it begins.
    """

    def __init__(self, url: str, timeout_s: float) -> None:
        self._url = url
        self._http = urllib3.PoolManager(
            timeout=timeout_s,
            retries=urllib3.Retry(0),
            ca_certs=os.environ.get(CERTIFICATE) or None,
        )
        self._headers = {
            "Content-Type": "application/json",
            "Content-Encoding": "gzip",
            **headers_of(os.environ.get(HEADERS, "")),
        }
        self._dropping = False

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        """Send a batch; FAILURE where it is dropped."""
        body = gzip.compress(json.dumps(request_of(spans)).encode(), compresslevel=1)
        try:
            answer = self._http.request("POST", self._url, body=body, headers=self._headers)
            refused = "" if answer.status < 300 else f"it answers {answer.status}"
        except urllib3.exceptions.HTTPError as exc:
            refused = type(exc).__name__
        if refused and not self._dropping:
            _logger.warning("spans to `%s` are dropped: %s", masked(self._url), refused)
        self._dropping = bool(refused)
        return SpanExportResult.FAILURE if refused else SpanExportResult.SUCCESS

    def shutdown(self) -> None:
        """Close the connections."""
        self._http.clear()


def headers_of(text: str) -> dict[str, str]:
    """The headers in ``HEADERS``; parts without a name and a value are left out."""
    pairs = (part.partition("=") for part in text.split(","))
    return {
        name.strip(): unquote(value.strip()) for name, sign, value in pairs if sign and name.strip()
    }


def request_of(spans: Sequence[ReadableSpan]) -> dict[str, Any]:
    """An ``ExportTraceServiceRequest`` of spans of one provider."""
    by_scope: dict[str, list[dict[str, Any]]] = {}
    for span in spans:
        scope = span.instrumentation_scope
        by_scope.setdefault(scope.name if scope else "", []).append(_span(span))
    resource = spans[0].resource.attributes if spans else {}
    scopes = [{"scope": {"name": name}, "spans": of} for name, of in by_scope.items()]
    return {
        "resourceSpans": [{"resource": {"attributes": _attributes(resource)}, "scopeSpans": scopes}]
    }


def _span(span: ReadableSpan) -> dict[str, Any]:
    context = span.get_span_context()
    told = {
        **(_ids(context) if context else {}),
        "name": span.name,
        # OTLP counts kinds from 1, 0 is "not said".
        "kind": span.kind.value + 1,
        "startTimeUnixNano": str(span.start_time or 0),
        "endTimeUnixNano": str(span.end_time or 0),
        "attributes": _attributes(span.attributes),
        "events": [_event(event) for event in span.events],
        "links": [_link(link) for link in span.links],
        "status": {"code": span.status.status_code.value},
    }
    if span.parent:
        told["parentSpanId"] = f"{span.parent.span_id:016x}"
    if span.status.description:
        told["status"]["message"] = span.status.description
    return told


def _ids(context: SpanContext) -> dict[str, Any]:
    return {
        "traceId": f"{context.trace_id:032x}",
        "spanId": f"{context.span_id:016x}",
        "flags": int(context.trace_flags),
    }


def _link(link: Link) -> dict[str, Any]:
    return {**_ids(link.context), "attributes": _attributes(link.attributes)}


def _event(event: Event) -> dict[str, Any]:
    return {
        "timeUnixNano": str(event.timestamp),
        "name": event.name,
        "attributes": _attributes(event.attributes),
    }


def _attributes(attributes: Attributes | Mapping[str, Any]) -> list[dict[str, Any]]:
    return [{"key": key, "value": _value(value)} for key, value in (attributes or {}).items()]


def _value(value: Any) -> dict[str, Any]:
    # A truth value is an integer as well, so it is asked for first.
    if isinstance(value, bool):
        return {"boolValue": value}
    if isinstance(value, int):
        return {"intValue": str(value)}
    if isinstance(value, float):
        return {"doubleValue": value}
    if isinstance(value, str):
        return {"stringValue": value}
    return {"arrayValue": {"values": [_value(one) for one in value]}}
