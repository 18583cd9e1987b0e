"""Draws and points that rewards gives: each draw drawn once more by the verifier's own reading, and its tables."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Mapping
from typing import Any

from google.protobuf.message import DecodeError

from services.ops.verify.findings import Findings
from services.ops.verify.snapshot import Connection
from tallybook.rewards.v1 import events_pb2 as pb

TYPES = (
    "PointsPromised", "PointsGiven", "PointsRefused", "MoneyPromised", "MoneyGiven", "MoneyRefused", "TicketsGiven",
    "TicketsTaken", "TurnBegun", "TurnRefused", "DrawMade", "HoldingsLeft", "AwardMoved", "PlayerMoved",
)  # fmt: skip
TABLES = {
    "awards": "SELECT program, member, award, points, money, currency, state FROM awards WHERE chain = $1",
    "draw_turns": "SELECT program, member, turn, draw_id, state, number, prize FROM draw_turns WHERE chain = $1",
    "draw_players": "SELECT program, member, draw_id, tickets, losses, turns FROM draw_players WHERE chain = $1",
}
KEY_COLUMNS = 3
COUNTERS = "SELECT program, draw_id, counter, used FROM draw_counters"

Row = tuple[Any, ...]


def redrawn(message: Any) -> tuple[int, str]:
    """(number, prize) that a DrawMade's own seed and chances say.

    The seed's SHA-256, with a counter of four bytes behind the seed, is a number of 256 bits; a last uneven part of
    them is passed over; the rest modulo the sum of the weights is the number. The prizes lie on the numbers in their
    order, as wide as they weigh; pity moves to the prize that it names; what is out gives way to the next.
    """
    total = sum(chance.weight for chance in message.chances)
    if total == 0:
        return 0, ""
    tries = (hashlib.sha256(message.seed + bytes([0, 0, 0, attempt])).digest() for attempt in range(100))
    drawn = next(n for n in (int.from_bytes(d, "big") for d in tries) if n // total < 2**256 // total)
    number = drawn % total
    end, place = 0, len(message.chances)
    for at, chance in enumerate(message.chances):
        end += chance.weight
        if number < end:
            place = at
            break
    if message.pity:
        named = (at for at, chance in enumerate(message.chances) if chance.prize == message.pity)
        place = next(named, len(message.chances))
    while place < len(message.chances) and message.chances[place].out:
        place += 1
    return number, message.chances[place].prize if place < len(message.chances) else ""


class DrawsJournal:
    """What one chain's journal of rewards tells of draws and points."""

    def __init__(self, chain: int, found: Findings) -> None:
        self._chain = chain
        self._found = found
        self._told: dict[str, dict[Row, Row]] = {table: {} for table in TABLES}

    def row(self, row: Any) -> None:
        """Take the next row."""
        if row["type"] not in TYPES:
            return
        where = f"journal {self._chain}-{row['position']}"
        self._found.looked("draws")
        try:
            message: Any = getattr(pb, row["type"]).FromString(row["payload"])
        except DecodeError:
            self._found.add("draws", where, f"its payload is no {row['type']}")
            return
        who = (row["program"], row["member"])
        if row["type"].startswith(("Points", "Money")):
            self._award(where, row["type"], (*who, message.award), message)
        elif row["type"] == "HoldingsLeft":
            self._left(where, who, message)
        elif row["type"] == "AwardMoved":
            self._told["awards"][(*who, message.award)] = (
                message.points, message.money, message.currency, message.state,
            )  # fmt: skip
        elif row["type"] == "PlayerMoved":
            had, losses, turns = self._told["draw_players"].get((*who, message.draw), (0, 0, 0))
            self._told["draw_players"][(*who, message.draw)] = (
                had + message.tickets, max(losses, message.losses), turns + message.turns,
            )  # fmt: skip
        elif row["type"] == "TicketsGiven":
            self._player((*who, message.draw), tickets=message.tickets)
        elif row["type"] == "TicketsTaken":
            self._player((*who, message.draw), tickets=-message.tickets)
        else:
            self._turn(where, row["type"], who, message)

    def _award(self, where: str, type_: str, key: Row, message: Any) -> None:
        awards = self._told["awards"]
        before = awards.get(key)
        if type_.endswith("Promised"):
            if before is not None:
                self._found.add("draws", where, f"award {message.award} is promised twice")
            promised = (
                (message.points, 0, "")
                if type_ == "PointsPromised"
                else (0, message.amount, message.currency)
            )
            awards[key] = (*promised, "promised")
        elif before is None or before[-1] != "promised" or bool(before[1]) != type_.startswith("Money"):
            self._found.add(
                "draws", where, f"{type_} of award {message.award}, which is {before and before[-1]}"
            )
        else:
            awards[key] = (*before[:-1], "given" if type_.endswith("Given") else "refused")

    def _left(self, where: str, who: Row, message: Any) -> None:
        """Everything that is named went over to another member."""
        for table, names in (("awards", message.awards), ("draw_players", message.draws)):
            for name in names:
                if self._told[table].pop((*who, name), None) is None:
                    self._found.add("draws", where, f"{name} of {table} left, and was not there")

    def _turn(self, where: str, type_: str, who: Row, message: Any) -> None:
        turns = self._told["draw_turns"]
        key = (*who, message.turn)
        before = turns.get(key)
        expected = (
            "paying" if type_ == "TurnRefused" or (type_ == "DrawMade" and message.pay == "points") else None
        )
        if (before and before[1]) != expected:
            self._found.add(
                "draws", where, f"{type_} of turn {message.turn}, which is {before and before[1]}"
            )
        if type_ == "TurnBegun":
            turns[key] = (message.terms.id, "paying", None, "")
            self._player((*who, message.terms.id), turns=1)
        elif type_ == "TurnRefused":
            turns[key] = (message.draw, "refused", None, "")
            self._player((*who, message.draw), turns=-1)
        else:
            number, prize = redrawn(message)
            if (number, prize) != (message.number, message.prize):
                told = f"number {message.number} and prize {message.prize!r}"
                self._found.add("draws", where, f"{told}, the seed says {number} and {prize!r}")
            turns[key] = (message.draw, "made", message.number, message.prize)
            self._player(
                (*who, message.draw),
                turns=0 if message.pay == "points" else 1,
                tickets=-message.tickets,
                won=message.won,
            )
            for count in message.counts:
                self._found.report.counted[who[0], message.draw, count.counter] += count.added

    def _player(self, key: Row, tickets: int = 0, turns: int = 0, won: bool | None = None) -> None:
        had, losses, had_turns = self._told["draw_players"].get(key, (0, 0, 0))
        if won is not None:
            losses = 0 if won else losses + 1
        self._told["draw_players"][key] = (had + tickets, losses, had_turns + turns)

    async def check_tables(self, connection: Connection) -> None:
        """The tables beside what was told."""
        for table, query in TABLES.items():
            told = dict(self._told[table])
            rows = await connection.fetch(query, self._chain)
            self._found.looked("draws", len(rows))
            for row in rows:
                key, values = tuple(row)[:KEY_COLUMNS], tuple(row)[KEY_COLUMNS:]
                where = f"{table} {self._chain} {' '.join(key)}"
                wanted = told.pop(key, None)
                if wanted is None:
                    self._found.add("draws", where, "the journal knows nothing of it")
                elif wanted != values:
                    self._found.add("draws", where, f"is {values}, the journal tells {wanted}")
            for key in told:
                where = f"{table} {self._chain} {' '.join(key)}"
                self._found.add("draws", where, "the journal tells of it, it is missing")


async def check_counters(
    connection: Connection, counted: Mapping[tuple[str, str, str], int], found: Findings
) -> None:
    """What all members share, against what all chains together have told."""
    told: Counter[Row] = Counter(counted)
    for program, draw, counter, used in await connection.fetch(COUNTERS):
        found.looked("draws")
        wanted = told.pop((program, draw, counter), 0)
        if used != wanted:
            found.add(
                "draws",
                f"draw_counters {program} {draw} {counter}",
                f"is {used}, the draws add up to {wanted}",
            )
    for (program, draw, counter), wanted in told.items():
        if wanted:
            found.add(
                "draws",
                f"draw_counters {program} {draw} {counter}",
                f"is missing, the draws add up to {wanted}",
            )
