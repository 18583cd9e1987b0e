"""Purchases made up from a seed: the same ones in every run, with the shape of a grocer's baskets."""

from __future__ import annotations

import random
from collections.abc import Iterator

from google.protobuf.timestamp_pb2 import Timestamp

from tallybook.activities.v1.activities_pb2 import Purchase

START_SECONDS = 1_704_067_200
"""2024-01-01T00:00:00Z."""
SECONDS_BETWEEN_PURCHASES = 60
CATEGORIES = ("GROCERY", "PRODUCE", "DELI", "DRUG GM", "FUEL", "MEAT")
LINES = (1, 1, 2, 2, 3, 4, 5, 7, 10, 14)

PROGRAM = {
    "program": "bench",
    "name": "The bench's club",
    "time_zone": "America/New_York",
    "clock": "events",
    "ledger": {
        "currency": "USD",
        "enrolment": "on_first_activity",
        "earning": {
            "points_per_unit": 1,
            "rounding": "floor",
            "exclude_categories": ["FUEL"],
            "tier_multipliers": {"silver": "1.25", "gold": "1.5"},
        },
        "expiry": {"months": 12},
    },
    "tiering": {
        "metric": "spend",
        "window": {"months": 12},
        "review": {"months": 12},
        "tiers": [
            {"name": "member", "from": 0},
            {"name": "silver", "from": 100_000},
            {"name": "gold", "from": 250_000},
        ],
    },
    "rewards": {
        "catalogue": [{"id": "five_off", "name": "5 off", "kind": "discount", "points": 500, "value": 500}]
    },
}


def purchases(first: int, count: int, members: int, program: str = "bench") -> Iterator[Purchase]:
    """Purchases number `first` to `first + count - 1`, one a minute, of `members` members (lines: 4.9 on average)."""
    chance = random.Random(first)
    for number in range(first, first + count):
        purchase = Purchase(
            id=f"b{number}",
            program=program,
            member=f"m{chance.randrange(members)}",
            occurred_at=Timestamp(seconds=START_SECONDS + number * SECONDS_BETWEEN_PURCHASES // 20),
            store=f"s{chance.randrange(200)}",
            channel="pos",
            currency="USD",
        )
        for line in range(1, chance.choice(LINES) + 1):
            purchase.lines.add(
                id=line,
                sku=str(chance.randrange(1_000_000)),
                category=chance.choice(CATEGORIES),
                quantity=1,
                amount=chance.randrange(99, 2_000),
            )
        yield purchase
