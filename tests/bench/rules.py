"""What earning rules cost: a purchase with no rule, with one, and with fifty.

`python -m tests.bench.rules` takes the CPU time of deciding alone; `python -m tests.bench --only rules` takes purchases
through Kafka, the ledger and PostgreSQL. Fifty rules as a chain of shops has them: most look at some articles, some at
stores and days, a few at everything; three or four have a part in any one purchase.
"""

from __future__ import annotations

import gc
import random
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from statistics import median
from time import process_time
from typing import Any

from services.common.chain import genesis
from services.common.journal import Head, Journal
from services.ledger import payloads, wire
from services.ledger.consume import command_of
from services.ledger.domain.book import Book
from services.ledger.domain.commands import ActivateProgram, Cause, Command
from services.ledger.domain.program import parse_program
from services.ledger.handle import decide_batch
from services.ledger.store import Loaded
from tallybook.activities.v1 import activities_pb2 as activities

START = datetime(2024, 1, 5, 8, tzinfo=UTC)
PURCHASES, LINES, MEMBERS, ROUNDS = 4_000, 8, 500, 7
IDENTIFIERS = wire.Identifiers("0" * 64)


def fifty() -> list[dict[str, Any]]:
    """Thirty for articles, ten for stores on some days, five for brands, five for all that is large enough."""
    rules: list[dict[str, Any]] = [
        {"id": f"category-{n}", "when": {"categories": [f"C{n}", f"C{n + 30}"]}, "earn": {"multiplier": 2}}
        for n in range(30)
    ]
    rules += [
        {
            "id": f"store-{n}",
            "when": {"stores": [f"s{n}"], "weekdays": ["tue", "sat"]},
            "earn": {"points_per_visit": 5},
        }
        for n in range(10)
    ]
    rules += [
        {"id": f"brand-{n}", "when": {"brands": [f"B{n}"]}, "earn": {"points_per_item": 3}} for n in range(5)
    ]
    rules += [
        {
            "id": f"basket-{n}",
            "when": {"amount": {"from": 5_000 + 4_000 * n}},
            "earn": {"points_per_unit": "0.1"},
        }
        for n in range(5)
    ]
    return rules


KINDS: dict[str, list[dict[str, Any]]] = {
    "no rule": [],
    "1 rule": fifty()[:1],
    "50 rules": fifty(),
    "50 rules that all apply": [
        {"id": f"all-{n}", "earn": {"points_per_unit": "0.1"}} for n in range(50)
    ],
}  # fmt: skip


def document(rules: list[dict[str, Any]], program: str = "bench") -> dict[str, Any]:
    """A program with these rules."""
    earning = {"points_per_unit": 1, "rules": rules}
    return {
        "program": program,
        "clock": "events",
        "ledger": {"currency": "USD", "enrolment": "on_first_activity", "earning": earning},
    }


def purchases(first: int, count: int, program: str = "bench") -> Iterator[activities.Purchase]:
    """Purchases number `first` to `first + count - 1`, one every ten seconds."""
    dice = random.Random(first + 4)
    for number in range(first, first + count):
        message = activities.Purchase(
            id=f"p{number}", program=program, member=f"m{dice.randrange(MEMBERS)}", currency="USD",
            store=f"s{dice.randrange(20)}", channel="pos",
        )  # fmt: skip
        message.occurred_at.FromDatetime(START + timedelta(seconds=number * 10))
        for line in range(LINES):
            message.lines.add(
                id=line, sku=f"A{dice.randrange(5_000)}", category=f"C{dice.randrange(300)}", quantity=1,
                amount=dice.randrange(100, 3_000), brand=f"B{dice.randrange(100)}",
            )  # fmt: skip
        yield message


def told() -> list[Command]:
    """A day of purchases."""
    now = START + timedelta(days=1)
    return [command_of(message, IDENTIFIERS, 1, now) for message in purchases(0, PURCHASES)]


def microseconds(rules: list[dict[str, Any]]) -> float:
    """CPU time a purchase."""
    book = Book()
    book.versions["v"] = parse_program(document(rules), "v")
    loaded = Loaded(book, Journal({0: Head(0, 0, genesis(0))}, payloads.encode), {}, 1)
    cause = Cause("program", "v")
    decide_batch(loaded, [ActivateProgram("bench", "", 0, cause, START, "v", b"{}")], START)
    commands = told()
    gc.collect()
    gc.disable()
    begun = process_time()
    for first in range(0, PURCHASES, 500):
        decide_batch(loaded, commands[first : first + 500], START)
    taken = process_time() - begun
    gc.enable()
    return taken / PURCHASES * 1e6


def main() -> None:
    """Each kind in turn, several rounds; the middle of each."""
    rounds: dict[str, list[float]] = {kind: [] for kind in KINDS}
    for _ in range(ROUNDS):
        for kind, rules in KINDS.items():
            rounds[kind].append(microseconds(rules))
    one = median(rounds["1 rule"])
    for kind, times in rounds.items():
        print(
            f"{kind:25} {median(times):6.1f} us a purchase of {LINES} lines, {median(times) / one:.2f} of one rule"
        )


if __name__ == "__main__":
    main()
