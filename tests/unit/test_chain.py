"""Chains: Kafka's own partitions, and hashes that bind every byte of a row."""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest
from aiokafka.partitioner import DefaultPartitioner, murmur2
from hypothesis import given
from hypothesis import strategies as st

from services.common.chain import chain_of, from_micros, genesis, micros, row_hash, spread

AT = datetime(2026, 1, 5, 15, 0, 0, 123456, tzinfo=UTC)
ROW: dict[str, Any] = {
    "previous": bytes(32),
    "chain": 3,
    "position": 7,
    "program": "grocer",
    "member": "ann",
    "type_": "PointsAccrued",
    "occurred_at": micros(AT),
    "recorded_at": micros(AT) + 1_000_000,
    "cause_source": "grocer/purchase",
    "cause_id": "p1",
    "cause_digest": bytes(range(32)),
    "program_version": "0123456789abcdef",
    "payload": b"\x0a\x02p1",
}
OTHERS: dict[str, list[Any]] = {
    "previous": [b"\x01" + bytes(31)],
    "chain": [4],
    "position": [8],
    "program": ["grocers", ""],
    "member": ["anna", "", None],
    "type_": ["PointsExpired"],
    "occurred_at": [micros(AT) + 1],
    "recorded_at": [micros(AT)],
    "cause_source": ["grocer/purchas", "grocer/return"],
    "cause_id": ["p2", "ep1"],
    "cause_digest": [None, b"", bytes(32)],
    "program_version": ["", "0123456789abcdee"],
    "payload": [b"", b"\x0a\x02p2"],
}


@pytest.mark.parametrize(
    ("key", "hash_"),
    # The values of Kafka's own UtilsTest.testMurmur2.
    [
        ("21", -973932308), ("foobar", -790332482), ("a-little-bit-long-string", -985981536),
        ("a-little-bit-longer-string", -1486304829), ("lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8", -58897971),
        ("abc", 479470107),
    ],
)  # fmt: skip
def test_a_chain_is_the_partition_that_kafka_would_choose(key: str, hash_: int) -> None:
    assert (int(murmur2(key.encode())) - hash_) % 2**32 == 0
    for chains in (1, 4, 16, 1024):
        partitions = list(range(chains))
        assert chain_of(key, chains) == DefaultPartitioner()(key.encode(), partitions, partitions)
        assert chain_of(key, chains) == (hash_ & 0x7FFFFFFF) % chains


def test_members_spread_over_all_chains() -> None:
    counts = [0] * 16
    for n in range(16_000):
        counts[chain_of(f"m{n}", 16)] += 1
    assert min(counts) > 800
    assert {spread(b"%d" % n, 16) for n in range(1_000)} == set(range(16))


@given(st.datetimes(min_value=datetime(1, 1, 2), max_value=datetime(9999, 12, 30)))  # noqa: DTZ001
def test_microseconds_are_exact(time: datetime) -> None:
    aware = time.replace(tzinfo=UTC)
    assert from_micros(micros(aware)) == aware
    assert micros(aware.astimezone(timezone(timedelta(hours=-5)))) == micros(aware)


def test_the_hash_of_a_row_is_pinned() -> None:
    assert row_hash(**ROW).hex() == "be83d4ddeaba838c61bcbc546c50b6f7657d749d4f71b10bfa52258b24ac5d46"
    bare = {**ROW, "member": None, "cause_digest": None, "payload": b""}
    assert row_hash(**bare).hex() == "98d270b19b3596076a514dcf83fe1eb934ba471bfd4713df1d3d19ff60ee200b"
    assert genesis(3).hex() == hashlib.sha256(b"tallybook chain 3").hexdigest()


def test_the_hash_is_what_its_description_says() -> None:
    parts = [
        b"grocer",
        b"ann",
        b"PointsAccrued",
        b"grocer/purchase",
        b"p1",
        bytes(range(32)),
        b"0123456789abcdef",
        b"\x0a\x02p1",
    ]
    lengths = [len(part) for part in parts]
    lengths[1] += 1
    lengths[5] += 1
    seconds = (AT - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(microseconds=1)
    told = bytes(32) + (3).to_bytes(2, "little")
    told += b"".join(number.to_bytes(8, "little") for number in (7, seconds, seconds + 1_000_000))
    told += b"".join(length.to_bytes(4, "little") for length in lengths)
    assert row_hash(**ROW) == hashlib.sha256(told + b"".join(parts)).digest()


@pytest.mark.parametrize(("field", "other"), [(f, o) for f, others in OTHERS.items() for o in others])
def test_no_field_can_change_under_the_same_hash(field: str, other: Any) -> None:
    assert row_hash(**{**ROW, field: other}) != row_hash(**ROW)


def test_bytes_cant_move_from_one_field_to_the_next() -> None:
    moved = {**ROW, "cause_source": "grocer/purchasep", "cause_id": "1"}
    assert row_hash(**moved) != row_hash(**ROW)


def test_every_field_has_a_test_that_changes_it() -> None:
    assert set(OTHERS) == set(ROW)
