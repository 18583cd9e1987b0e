"""Records that anybody may have written: what is the same request, and what can't be read."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.common.codec import JSON, MAX_VALUE_BYTES, PROTOBUF, activity_headers
from services.common.errors import Undecodable
from services.ledger.domain.commands import Command, RecordPurchase, RecordReferral
from tests.contract.activity_records import (
    DOCUMENTS,
    ENROLMENT,
    INTERACTION,
    PURCHASE,
    REFERRAL,
    RETURN,
    as_json,
    as_protobuf,
    message,
    read,
)

FIRST_LINE = DOCUMENTS[PURCHASE]["lines"][0]


def content(command: Command) -> dict[str, Any]:
    """Everything that a command says, but for the moment at which it was read."""
    return {name: getattr(command, name) for name in command.__dataclass_fields__ if name != "now"}


@pytest.mark.parametrize("type_", DOCUMENTS)
def test_json_and_protobuf_of_the_same_activity_are_the_same_request(type_: str) -> None:
    document = DOCUMENTS[type_]
    assert content(read(*as_json(type_, document))) == content(read(*as_protobuf(type_, document)))


@pytest.mark.parametrize(
    "spelling",
    [
        {"occurred_at": "2026-01-05T15:00:00Z"},
        {"occurred_at": "2026-01-05T16:00:00.000000999+01:00"},
        {"lines": [{**FIRST_LINE, "quantity": "2", "amount": "3745"}]},
        {"lines": [{**FIRST_LINE, "amount": 3745.0}]},
    ],
    ids=["zone", "nanoseconds", "numbers as text", "whole float"],
)
def test_the_same_purchase_spelt_otherwise_is_the_same_request(spelling: dict[str, Any]) -> None:
    document = DOCUMENTS[PURCHASE]
    assert content(read(*as_json(PURCHASE, {**document, **spelling}))) == content(
        read(*as_json(PURCHASE, document))
    )


@pytest.mark.parametrize(
    "other",
    [
        {"occurred_at": "2026-01-05T15:00:00.000001Z"}, {"store": "s2"}, {"channel": "web"}, {"currency": "EUR"},
        {"lines": []}, {"lines": [FIRST_LINE] * 2}, {"lines": [{**FIRST_LINE, "amount": 3746}]},
        {"lines": [{**FIRST_LINE, "brand": "own"}]}, {"payment_method": "cash"},
        {"lines": [{**FIRST_LINE, "sku": "A2"}]}, {"lines": [{**FIRST_LINE, "category": ""}]},
    ],
)  # fmt: skip
def test_any_other_content_is_another_request(other: dict[str, Any]) -> None:
    one, two = (read(*as_json(PURCHASE, {**DOCUMENTS[PURCHASE], **change})) for change in ({}, other))
    assert (one.cause.source, one.cause.id) == (two.cause.source, two.cause.id)
    assert one.cause.digest != two.cause.digest


def test_an_identifier_goes_no_further_than_the_reading() -> None:
    command = read(*as_json(PURCHASE, {**DOCUMENTS[PURCHASE], "member": "phone:+15550100"}))
    assert isinstance(command, RecordPurchase)
    assert command.member.startswith("phone:")
    assert "5550100" not in repr(command)
    assert len(command.member) == len("phone:") + 64


def test_a_referrers_identifier_goes_no_further_either() -> None:
    command = read(*as_json(REFERRAL, DOCUMENTS[REFERRAL]))
    assert isinstance(command, RecordReferral)
    assert command.referrer.startswith("phone:")
    assert "5550100" not in repr(command)


def spoilt(type_: str, **changes: Any) -> tuple[Any, bytes]:
    return as_json(type_, {**DOCUMENTS[type_], **changes})


def line(**changes: Any) -> tuple[Any, bytes]:
    return spoilt(PURCHASE, lines=[{**FIRST_LINE, **changes}])


def typed(type_: bytes | None, content_type: bytes | None = PROTOBUF.encode()) -> list[tuple[str, Any]]:
    return [("ce_type", type_), ("content-type", content_type)]


_LATE = message(PURCHASE, DOCUMENTS[PURCHASE])
_LATE.occurred_at.seconds = 2**62
BIG_TIME = _LATE.SerializeToString()
_LATE.occurred_at.FromJsonString("9999-12-31T23:00:00Z")
LAST_DAY = _LATE.SerializeToString()
WHOLE = as_protobuf(PURCHASE, DOCUMENTS[PURCHASE])[1]
JSON_HEADERS = activity_headers(PURCHASE, "till", "1", JSON)

UNDECODABLE: dict[str, tuple[Any, bytes | None, str]] = {
    "no headers": ([], b"{}", "ce_type is ''"),
    "a header without a value": (typed(None), b"", "ce_type is ''"),
    "a type of another topic": (typed(b"tallybook.ledger.v1.PointsAccrued"), b"", "this topic takes"),
    "a type that is no text": (typed(b"\xff\xfe"), b"", "this topic takes"),
    "another content type": (typed(PURCHASE.encode(), b"text/xml"), b"<p/>", "content-type is 'text/xml'"),
    "no value": (JSON_HEADERS, None, "has no value"),
    "an empty value": (activity_headers(PURCHASE, "till", "1"), b"", "program must be"),
    "garbage as protobuf": (activity_headers(PURCHASE, "till", "1"), b"\xff" * 40, "not a tallybook"),
    "a cut protobuf": (activity_headers(PURCHASE, "till", "1"), WHOLE[:-3], "not a tallybook"),
    "protobuf said to be JSON": (JSON_HEADERS, WHOLE, "not a tallybook"),
    "garbage as JSON": (JSON_HEADERS, b"{", "not a tallybook"),
    "JSON that is not UTF-8": (JSON_HEADERS, b"\xff\xfe", "not a tallybook"),
    "a JSON list": (JSON_HEADERS, b"[]", "program must be"),
    "JSON null": (JSON_HEADERS, b"null", "not a tallybook"),
    "JSON without end": (JSON_HEADERS, b"[" * 100_000, "not a tallybook"),
    "half a surrogate pair": (*as_json(PURCHASE, {**DOCUMENTS[PURCHASE], "id": "\ud800"}), "not a tallybook"),
    "a number of 5,000 digits": (JSON_HEADERS, b'{"lines":[{"amount":' + b"9" * 5_000 + b"}]}", "not a tallybook"),
    "too many bytes": (JSON_HEADERS, b" " * (MAX_VALUE_BYTES + 1), "at most 1000000"),
    "an unknown field": (*spoilt(PURCHASE, colour="red"), 'no field named "colour"'),
    "a fractional amount": (*line(amount=37.45), "amount"),
    "a fractional amount as text": (*line(amount="37.45"), "amount"),
    "an amount of words": (*line(amount="many"), "amount"),
    "an amount that is true": (*line(amount=True), "amount"),
    "an amount over 64 bits": (*line(amount=2**63), "amount"),
    "an amount without end": (JSON_HEADERS, b'{"lines":[{"amount":1e400}]}', "amount"),
    "a line id below zero": (*line(id=-1), "id"),
    "a time without a zone": (*spoilt(PURCHASE, occurred_at="2026-01-05T10:00:00"), "occurred_at"),
    "a time of words": (*spoilt(PURCHASE, occurred_at="noon"), "occurred_at"),
    "a time after all years": (activity_headers(PURCHASE, "till", "1"), BIG_TIME, "time out of range"),
    "a time that is none in Tokyo": (activity_headers(PURCHASE, "till", "1"), LAST_DAY, "time out of range"),
    "a time that is none in New York": (*spoilt(INTERACTION, occurred_at="0001-01-01T00:00:00Z"), "time out of range"),
    "no time": (*spoilt(PURCHASE, occurred_at=None), "occurred_at is missing"),
    "a return without a time": (*spoilt(RETURN, occurred_at=None), "occurred_at is missing"),
    "no program": (*spoilt(PURCHASE, program=""), "program must be"),
    "a program in capitals": (*spoilt(PURCHASE, program="Grocer"), "program must be"),
    "a program with a NUL": (*spoilt(PURCHASE, program="gro\0cer"), "program must be"),
    "no id": (*spoilt(PURCHASE, id=""), "id must be"),
    "an id with a blank": (*spoilt(PURCHASE, id="p 1"), "id must be"),
    "an id with a NUL": (*spoilt(PURCHASE, id="p\0"), "id must be"),
    "an id of 129 characters": (*spoilt(PURCHASE, id="p" * 129), "id must be"),
    "an id with an accent": (*spoilt(RETURN, id="é"), "id must be"),
    "no member": (*spoilt(PURCHASE, member=""), "member is neither"),
    "a member with a blank": (*spoilt(PURCHASE, member="ann lee"), "member is neither"),
    "a member with a NUL": (*spoilt(PURCHASE, member="ann\0"), "member is neither"),
    "a member of 65 characters": (*spoilt(PURCHASE, member="a" * 65), "member is neither"),
    "an identifier without a value": (*spoilt(PURCHASE, member="card:"), "member is neither"),
    "an identifier with a kind in capitals": (*spoilt(PURCHASE, member="Card:1"), "member is neither"),
    "a SKU with a NUL": (*line(sku="A\0"), "sku must"),
    "a SKU of 201 characters": (*line(sku="A" * 201), "sku must"),
    "a category of 201 characters": (*line(category="A" * 201), "category must"),
    "a store of 201 characters": (*spoilt(PURCHASE, store="A" * 201), "store must"),
    "a channel of 201 characters": (*spoilt(RETURN, channel="A" * 201), "channel must"),
    "a currency of 201 characters": (*spoilt(PURCHASE, currency="A" * 201), "currency must"),
    "a return of a NUL": (*spoilt(RETURN, of="p\0"), "of must"),
    "an interaction with a kind of 201 characters": (*spoilt(INTERACTION, kind="k" * 201), "kind must"),
    "an interaction of a NUL": (*spoilt(INTERACTION, content="c\0"), "content must"),
    "an interaction without time": (*spoilt(INTERACTION, occurred_at=None), "occurred_at is missing"),
    "a referral by nobody": (*spoilt(REFERRAL, referrer=""), "referrer is neither"),
    "a referral with a task of 201 characters": (*spoilt(REFERRAL, task="t" * 201), "task must"),
    "an enrolment with an identifier without kind": (
        *spoilt(ENROLMENT, identifiers=[{"kind": "", "value": "1"}]), "identifier has a kind"),
    "an enrolment with an identifier without value": (
        *spoilt(ENROLMENT, identifiers=[{"kind": "card", "value": ""}]), "identifier has a kind"),
}  # fmt: skip


@pytest.mark.parametrize("kind", UNDECODABLE)
def test_what_cant_be_read_says_why(kind: str) -> None:
    headers, value, reason = UNDECODABLE[kind]
    with pytest.raises(Undecodable) as error:
        read(headers, value)
    assert reason in str(error.value)
    assert len(str(error.value)) < 1_000


@pytest.mark.parametrize("type_", DOCUMENTS)
def test_the_reason_does_not_repeat_who_the_member_is(type_: str) -> None:
    for bad in ("card:6001\n" + "x" * 300, "Phone:+15550100"):
        with pytest.raises(Undecodable) as error:
            read(*spoilt(type_, member=bad))
        assert bad[5:12] not in str(error.value)


headers_of_any_kind = st.lists(
    st.tuples(
        st.sampled_from(["ce_type", "content-type", "ce_id"]),
        st.none()
        | st.binary(max_size=20)
        | st.sampled_from(
            [PURCHASE.encode(), RETURN.encode(), ENROLMENT.encode(), JSON.encode(), PROTOBUF.encode()]
        ),
    ),
    max_size=4,
)
json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["id", "member", "program", "lines", "occurred_at", "amount"]), inner
        )
    ),
    max_leaves=8,
)


@settings(max_examples=300, deadline=None)
@given(headers=headers_of_any_kind, value=st.none() | st.binary(max_size=60))
def test_no_bytes_can_stop_the_reading(headers: list[tuple[str, Any]], value: bytes | None) -> None:
    """Only Undecodable leads to the dead letters; anything else would stop the consumer for good."""
    try:
        read(headers, value)
    except Undecodable as error:
        assert str(error)


@settings(max_examples=150, deadline=None)
@given(
    type_=st.sampled_from(sorted(DOCUMENTS)),
    changes=st.dictionaries(
        st.sampled_from(["id", "member", "program", "lines", "occurred_at", "of"]), json_values
    ),
)
def test_no_document_can_stop_the_reading(type_: str, changes: dict[str, Any]) -> None:
    try:
        read(*spoilt(type_, **changes))
    except Undecodable as error:
        assert str(error)


@settings(max_examples=200, deadline=None)
@given(type_=st.sampled_from(sorted(DOCUMENTS)), data=st.data())
def test_no_broken_protobuf_can_stop_the_reading(type_: str, data: st.DataObject) -> None:
    headers, value = as_protobuf(type_, DOCUMENTS[type_])
    place = data.draw(st.integers(0, len(value) - 1))
    broken = value[:place] + bytes([data.draw(st.integers(0, 255))]) + value[place + 1 :]
    try:
        read(headers, broken)
    except Undecodable as error:
        assert str(error)
