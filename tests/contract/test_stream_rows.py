"""Rows of our own streams: what a service's relay writes, the other services read; a gap stops them."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from services.common.codec import StreamRow, decode_row, journal_headers, unseen
from services.common.errors import InvariantBroken
from services.ledger.wire import TIER_TYPES
from tallybook.tiering.v1 import events_pb2 as tiering

AT = datetime(2026, 1, 5, 15, 0, 0, 123456, tzinfo=UTC)
LATER = datetime(2026, 1, 6, tzinfo=UTC)
PAYLOAD = tiering.TierChanged(to_tier="gold").SerializeToString()


def headers(
    position: int = 7, type_: str = "TierChanged", member: str | None = "ann"
) -> list[tuple[str, bytes]]:
    return journal_headers("tiering", 3, position, "grocer", member, type_, AT, LATER)


def test_the_headers_of_a_row_are_pinned() -> None:
    assert headers() == [
        ("ce_specversion", b"1.0"),
        ("ce_type", b"tallybook.tiering.v1.TierChanged"),
        ("ce_source", b"tallybook/tiering"),
        ("ce_id", b"3-7"),
        ("ce_time", b"2026-01-05T15:00:00.123456+00:00"),
        ("content-type", b"application/protobuf"),
        ("ce_program", b"grocer"),
        ("ce_chain", b"3"),
        ("ce_position", b"7"),
        ("ce_recordedat", b"2026-01-06T00:00:00+00:00"),
        ("ce_subject", b"ann"),
    ]


def test_a_row_is_read_as_it_was_written() -> None:
    row = decode_row(headers(), PAYLOAD, TIER_TYPES)
    assert row.message == tiering.TierChanged(to_tier="gold")
    assert row == StreamRow(3, 7, "grocer", "ann", "TierChanged", AT, LATER, row.message)


def test_a_row_of_the_programs_own_has_no_member() -> None:
    assert decode_row(headers(member=None), PAYLOAD, TIER_TYPES).member is None


def test_a_type_that_the_reader_does_not_know_is_passed_on_without_its_message() -> None:
    row = decode_row(headers(type_="TierCelebrated"), b"\xff", TIER_TYPES)
    assert (row.type, row.message) == ("TierCelebrated", None)


@pytest.mark.parametrize(
    "missing", ["ce_type", "ce_chain", "ce_position", "ce_program", "ce_time", "ce_recordedat"]
)
def test_a_row_without_an_attribute_is_a_broken_invariant(missing: str) -> None:
    with pytest.raises(InvariantBroken, match=missing):
        decode_row([h for h in headers() if h[0] != missing], PAYLOAD, TIER_TYPES)


@pytest.mark.parametrize(
    "spoilt", [("ce_position", b"x"), ("ce_time", b"noon"), ("ce_type", b".\xff"), ("ce_chain", None)]
)
def test_a_row_with_a_spoilt_attribute_is_a_broken_invariant(spoilt: tuple[str, Any]) -> None:
    with pytest.raises(InvariantBroken):
        decode_row([*headers(), spoilt], PAYLOAD, TIER_TYPES)


def test_a_row_whose_payload_is_cut_is_a_broken_invariant() -> None:
    row = decode_row(headers(), PAYLOAD[:-1], TIER_TYPES)
    with pytest.raises(InvariantBroken, match="row 3-7 of our own stream can't be read"):
        _ = row.message


def rows(*positions: int, chain: int = 3) -> list[StreamRow]:
    return [StreamRow(chain, p, "grocer", None, "X", AT, AT, None) for p in positions]


def test_rows_that_were_applied_are_dropped_and_the_place_moves_on() -> None:
    applied = {3: 2}
    fresh = unseen([*rows(1, 2, 3), *rows(2, 3, 4), *rows(1, chain=5)], applied)
    assert [(row.chain, row.position) for row in fresh] == [(3, 3), (3, 4), (5, 1)]
    assert applied == {3: 4, 5: 1}


@pytest.mark.parametrize("positions", [(2,), (1, 3), (1, 2, 5)])
def test_a_gap_is_a_broken_invariant(positions: tuple[int, ...]) -> None:
    with pytest.raises(InvariantBroken, match="came after"):
        unseen(rows(*positions), {})
