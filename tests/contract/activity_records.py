"""A purchase as a till sends it, in both forms, and ways to spoil it."""

from __future__ import annotations

import json
from typing import Any

from google.protobuf import json_format

from services.common.clock import utc_now
from services.common.codec import JSON, PROTOBUF, Headers, activity_headers, decode_activity
from services.ledger import wire
from services.ledger.consume import command_of
from services.ledger.domain.commands import Command
from tallybook.activities.v1 import activities_pb2 as activities

PURCHASE = "tallybook.activities.v1.Purchase"
RETURN = "tallybook.activities.v1.Return"
ENROLMENT = "tallybook.activities.v1.Enrolment"
TOP_UP = "tallybook.activities.v1.TopUp"
TOP_UP_REVERSAL = "tallybook.activities.v1.TopUpReversal"
INTERACTION = "tallybook.activities.v1.Interaction"
REFERRAL = "tallybook.activities.v1.Referral"
CHAINS = 16
IDENTIFIERS = wire.Identifiers("0123456789abcdef" * 4)

DOCUMENTS: dict[str, dict[str, Any]] = {
    PURCHASE: {
        "id": "p1",
        "program": "grocer",
        "member": "ann",
        "occurred_at": "2026-01-05T10:00:00-05:00",
        "store": "s1",
        "channel": "pos",
        "currency": "USD",
        "lines": [{"id": 1, "sku": "A1", "category": "FOOD", "quantity": 2, "amount": 3745}],
    },
    RETURN: {
        "id": "r1",
        "program": "grocer",
        "member": "card:6001",
        "occurred_at": "2026-01-06T10:00:00Z",
        "of": "p1",
        "lines": [{"line": 1, "quantity": 1}],
    },
    ENROLMENT: {
        "id": "e1",
        "program": "grocer",
        "member": "ann",
        "occurred_at": "2026-01-05T10:00:00Z",
        "identifiers": [{"kind": "card", "value": "6001"}],
    },
    TOP_UP: {
        "id": "t1",
        "program": "grocer",
        "member": "ann",
        "occurred_at": "2026-01-05T10:00:00-05:00",
        "store": "s1",
        "channel": "pos",
        "currency": "USD",
        "amount": 10000,
    },
    TOP_UP_REVERSAL: {
        "id": "u1",
        "program": "grocer",
        "member": "card:6001",
        "occurred_at": "2026-01-06T10:00:00Z",
        "of": "t1",
    },
    INTERACTION: {
        "id": "i1",
        "program": "grocer",
        "member": "ann",
        "occurred_at": "2026-01-05T10:00:00Z",
        "kind": "review",
        "content": "c9",
        "channel": "app",
        "store": "s1",
    },
    REFERRAL: {
        "id": "f1",
        "program": "grocer",
        "member": "bob",
        "occurred_at": "2026-01-05T10:00:00Z",
        "referrer": "phone:+15550100",
        "step": "registered",
    },
}


def message(type_: str, document: dict[str, Any]) -> Any:
    """The protobuf message that a document says."""
    return json_format.ParseDict(document, getattr(activities, type_.rpartition(".")[2])())


def as_json(type_: str, document: dict[str, Any]) -> tuple[Headers, bytes]:
    """Headers and value of a JSON record."""
    return activity_headers(type_, "till", "1", JSON), json.dumps(document).encode()


def as_protobuf(type_: str, document: dict[str, Any]) -> tuple[Headers, bytes]:
    """Headers and value of a protobuf record."""
    return activity_headers(type_, "till", "1", PROTOBUF), message(type_, document).SerializeToString()


def read(headers: Headers, value: bytes | None) -> Command:
    """The command in a record, as the consumer reads it. Raises Undecodable."""
    return command_of(decode_activity(headers, value, wire.ACTIVITY_TYPES), IDENTIFIERS, CHAINS, utc_now())
