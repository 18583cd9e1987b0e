"""Draws and points that rewards gives: each draw drawn once more by the verifier's own reading, and its tables."""

from __future__ import annotations

import hashlib
import zlib
from collections import Counter
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from google.protobuf.message import DecodeError

from services.ops.verify.findings import Findings
from services.ops.verify.journal_chain import EPOCH
from services.ops.verify.snapshot import Connection
from tallybook.rewards.v1 import events_pb2 as pb

TYPES = (
    "PointsPromised", "PointsGiven", "PointsRefused", "MoneyPromised", "MoneyGiven", "MoneyRefused", "TicketsGiven",
    "TicketsTaken", "TurnBegun", "TurnRefused", "DrawMade", "HoldingsLeft", "AwardMoved", "PlayerMoved",
)  # fmt: skip
COLUMNS = {
    "awards": (
        "points", "money", "currency", "source", "source_id", "state", "promised_at", "changed_at", "first_position",
        "code", "detail",
    ),
    "draw_turns": (
        "draw_id", "state", "pay", "points", "day", "begun_at", "changed_at", "first_position", "seed", "terms",
        "number", "prize", "won", "rewards", "code", "detail",
    ),
    "draw_players": ("tickets", "losses", "turns", "day", "today", "free_today"),
}  # fmt: skip
"""By table, what stands behind program, member and the third part of the key."""
NAMES = {"awards": "award", "draw_turns": "turn", "draw_players": "draw_id"}
KEY_COLUMNS = 3
COUNTERS = "SELECT chain, program, draw_id, counter, used FROM draw_counters"

Row = tuple[Any, ...]
Values = dict[str, Any]
"""A row's columns behind its key."""


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
        self._told: dict[str, dict[Row, Values]] = {table: {} for table in COLUMNS}

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
            self._award(where, row, (*who, message.award), message)
        elif row["type"] == "HoldingsLeft":
            self._left(where, who, message)
        elif row["type"] == "AwardMoved":
            self._told["awards"][(*who, message.award)] = {
                "points": message.points, "money": message.money, "currency": message.currency,
                "source": message.source, "source_id": message.source_id, "state": message.state,
                "promised_at": _time(message.promised_at), "changed_at": _time(message.changed_at),
                "first_position": row["position"], "code": message.code if message.HasField("code") else None,
                "detail": message.detail if message.HasField("detail") else None,
            }  # fmt: skip
        elif row["type"] == "PlayerMoved":
            self._came(self._player((*who, message.draw)), message)
        elif row["type"] == "TicketsGiven":
            self._player((*who, message.draw))["tickets"] += message.tickets
        elif row["type"] == "TicketsTaken":
            self._player((*who, message.draw))["tickets"] -= message.tickets
        else:
            self._turn(where, row, (*who, message.turn), message)

    def _award(self, where: str, row: Any, key: Row, message: Any) -> None:
        awards, type_, at = self._told["awards"], row["type"], row["occurred_at"]
        before = awards.get(key)
        if type_.endswith("Promised"):
            if before is not None:
                self._found.add("draws", where, f"award {message.award} is promised twice")
            points = type_ == "PointsPromised"
            awards[key] = {
                "points": message.points if points else 0, "money": 0 if points else message.amount,
                "currency": "" if points else message.currency, "source": message.source,
                "source_id": message.source_id, "state": "promised", "promised_at": at, "changed_at": at,
                "first_position": row["position"], "code": None, "detail": None,
            }  # fmt: skip
        elif (
            before is None
            or before["state"] != "promised"
            or bool(before["money"]) != type_.startswith("Money")
        ):
            state = before and before["state"]
            self._found.add("draws", where, f"{type_} of award {message.award}, which is {state}")
        else:
            before.update(state="given", changed_at=at)
            if type_.endswith("Refused"):
                before.update(state="refused", code=message.code, detail=message.detail)

    def _left(self, where: str, who: Row, message: Any) -> None:
        """Everything that is named went over to another member."""
        for table, names in (("awards", message.awards), ("draw_players", message.draws)):
            for name in names:
                if self._told[table].pop((*who, name), None) is None:
                    self._found.add("draws", where, f"{name} of {table} left, and was not there")

    def _came(self, player: Values, message: Any) -> None:
        """Two players are one: counts add up, those of a day where it is the later of the two."""
        day = max(player["day"], message.day)
        for name in ("today", "free_today"):
            mine = player[name] if player["day"] == day else 0
            player[name] = mine + (getattr(message, name) if message.day == day else 0)
        player.update(
            day=day, tickets=player["tickets"] + message.tickets, losses=max(player["losses"], message.losses),
            turns=player["turns"] + message.turns,
        )  # fmt: skip

    def _turn(self, where: str, row: Any, key: Row, message: Any) -> None:
        turns, type_, at = self._told["draw_turns"], row["type"], row["occurred_at"]
        before = turns.get(key)
        paid_before = type_ == "TurnRefused" or (type_ == "DrawMade" and message.pay == "points")
        state = before and before["state"]
        if state != ("paying" if paid_before else None):
            self._found.add("draws", where, f"{type_} of turn {message.turn}, which is {state}")
        begins = type_ == "TurnBegun"
        if begins or before is None:
            before = turns[key] = {
                "draw_id": message.terms.id if begins else message.draw, "state": "paying",
                "pay": "points" if begins else getattr(message, "pay", ""),
                "points": message.points if begins else 0, "day": message.day, "begun_at": at,
                "first_position": row["position"], "seed": getattr(message, "seed", b""), "terms": None,
                "number": None, "prize": "", "won": False, "rewards": "", "code": None, "detail": None,
            }  # fmt: skip
        before["changed_at"] = at
        player = self._player((*key[:2], before["draw_id"]))
        if begins:
            before["terms"] = message.terms.SerializeToString(deterministic=True)
            self._counted(player, message.day)
        elif type_ == "TurnRefused":
            before.update(state="refused", terms=None, code=message.code, detail=message.detail)
            player["turns"] -= 1
            player["today"] -= player["day"] == message.day
        else:
            self._made(where, key, before, player, message)

    def _made(self, where: str, key: Row, turn: Values, player: Values, message: Any) -> None:
        number, prize = redrawn(message)
        if (number, prize) != (message.number, message.prize):
            told = f"number {message.number} and prize {message.prize!r}"
            self._found.add("draws", where, f"{told}, the seed says {number} and {prize!r}")
        if message.seed != turn["seed"]:
            self._found.add("draws", where, "its seed is not the one that its turn began with")
        turn.update(
            state="made", terms=None, number=message.number, prize=message.prize, won=message.won,
            rewards=",".join(message.rewards),
        )  # fmt: skip
        player["losses"] = 0 if message.won else player["losses"] + 1
        if message.pay != "points":
            self._counted(player, message.day)
            player["free_today"] += message.pay == "free"
            player["tickets"] -= message.tickets
        for count in message.counts:
            self._found.report.counted[key[0], message.draw, count.counter] += count.added

    def _player(self, key: Row) -> Values:
        nothing = {"tickets": 0, "losses": 0, "turns": 0, "day": "", "today": 0, "free_today": 0}
        return self._told["draw_players"].setdefault(key, nothing)

    def _counted(self, player: Values, day: str) -> None:
        """One more turn, on that day."""
        if player["day"] != day:
            player.update(day=day, today=0, free_today=0)
        player["turns"] += 1
        player["today"] += 1

    async def check_tables(self, connection: Connection) -> None:
        """The tables beside what was told."""
        for table, columns in COLUMNS.items():
            told = dict(self._told[table])
            query = (
                f"SELECT program, member, {NAMES[table]}, {', '.join(columns)} FROM {table} WHERE chain = $1"  # noqa: S608
            )
            rows = await connection.fetch(query, self._chain)
            self._found.looked("draws", len(rows))
            for row in rows:
                key = tuple(row)[:KEY_COLUMNS]
                where = f"{table} {self._chain} {' '.join(key)}"
                wanted = told.pop(key, None)
                if wanted is None:
                    self._found.add("draws", where, "the journal knows nothing of it")
                    continue
                for column in columns:
                    if row[column] != wanted[column]:
                        what = f"{column} is {row[column]!r}, the journal says {wanted[column]!r}"
                        self._found.add("draws", where, what)
            for key in told:
                where = f"{table} {self._chain} {' '.join(key)}"
                self._found.add("draws", where, "the journal tells of it, it is missing")


async def check_counters(
    connection: Connection, chains: int, counted: Mapping[tuple[str, str, str], int], found: Findings
) -> None:
    """What all members share, against what all chains together have told; each on the chain of its name."""
    told: Counter[Row] = Counter(counted)
    for chain, *key, used in await connection.fetch(COUNTERS):
        found.looked("draws")
        where = f"draw_counters {' '.join(key)}"
        wanted = told.pop(tuple(key), 0)
        if used != wanted:
            found.add("draws", where, f"is {used}, the draws add up to {wanted}")
        home = zlib.crc32("/".join(key).encode()) % chains
        if chain != home:
            found.add("draws", where, f"is kept on chain {chain}, it belongs on {home}")
    for key, wanted in told.items():
        if wanted:
            found.add("draws", f"draw_counters {' '.join(key)}", f"is missing, the draws add up to {wanted}")


def _time(stamp: Any) -> datetime:
    return EPOCH + timedelta(seconds=stamp.seconds, microseconds=stamp.nanos // 1_000)
