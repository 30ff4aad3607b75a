"""Notices: zones and rules created, updated and deleted, as `zone_updates` and `compliance_rules`.

Each says which version it makes, so that one that comes twice changes nothing.
"""

from collections.abc import Iterator
from typing import Annotated, Any, Literal, Self

import msgspec
from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    StringConstraints,
    ValidationError,
    model_validator,
)

from schemas.message import Message, Reject
from schemas.zone import Time

Name = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=256)]


class Notice(BaseModel):
    """One change of a zone or a rule, ``by`` whom and ``why``.

    ``rule``: as in a rule file, ``zone``: a GeoJSON Feature, both with their ``version``. What is
    deleted is named by ``id``; its further ``version`` is in force until just before ``at``.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    type: Literal[
        "rule.created",
        "rule.updated",
        "rule.deleted",
        "zone.created",
        "zone.updated",
        "zone.deleted",
    ]
    by: Name
    why: str | None = None
    rule: dict[str, Any] | None = None
    zone: dict[str, Any] | None = None
    id: Name | None = None
    version: int | None = Field(default=None, ge=1)
    at: Time | None = None

    @model_validator(mode="after")
    def _whole(self) -> Self:
        kind, _, what = self.type.partition(".")
        of_end = (self.id, self.version, self.at)
        if what == "deleted":
            if None in of_end or self.rule is not None or self.zone is not None:
                raise ValueError("give `id`, `version` and `at` of what is deleted, no more")
            return self
        body, other = (self.rule, self.zone) if kind == "rule" else (self.zone, self.rule)
        if body is None or other is not None or of_end != (None, None, None):
            raise ValueError(f"give the `{kind}` alone, with its `version` in it")
        stated = body if kind == "rule" else body.get("properties") or {}
        if not isinstance(stated, dict) or "version" not in stated:
            raise ValueError(f"the `{kind}` states no `version`: without, no copy can be told")
        return self


def decode_notices(message: Message) -> Iterator[tuple[bytes, Notice | Reject]]:
    """The notices of a message, one a line, each with its bytes; what is none with the reason."""
    for number, line in enumerate(message.body.splitlines(), message.first_line or 1):
        if not line.strip():
            continue
        origin = f"{message.origin}:{number}"
        try:
            yield line, Notice.model_validate(msgspec.json.decode(line))
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as exc:
            yield line, Reject(f"not JSON: {exc}", "", line, origin)
        except ValidationError as exc:
            found = exc.errors(include_url=False)[0]
            field = ".".join(map(str, found["loc"]))
            said = found["msg"].removeprefix("Value error, ")
            yield line, Reject(f"`{field}`: {said}" if field else said, field, line, origin)
