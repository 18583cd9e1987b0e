"""Draws and points in one transaction: what is loaded, what is recorded, what is written. The chain's head is locked.

The counts that all members share are rows of their own chains, locked after the head, in one order.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

from services.common.chain import spread
from services.common.db import Transaction
from services.common.errors import InvariantBroken
from services.common.journal import Journal
from services.rewards.domain import awards as award_life
from services.rewards.domain.award_events import AwardEvent, Promise
from services.rewards.domain.awards import Award, AwardState
from services.rewards.domain.draw_events import DrawEvent, TicketEvent
from services.rewards.domain.draws import Player, Turn, TurnState, draw_of, play, turn_after
from services.rewards.domain.moving import AwardMoved, PlayerMoved, both
from services.rewards.store_awards import (
    AwardKey,
    StepKey,
    begin_steps,
    columns,
    end_steps,
    find_awards,
    save_awards,
)
from services.rewards.wire_draws import terms_bytes, terms_of_bytes

PlayerKey = tuple[str, str, str]
"""(program, member, draw)"""
TurnKey = tuple[str, str, str]
"""(program, member, turn)"""
CounterKey = tuple[str, str, str]
"""(program, draw, counter)"""

FIND_PLAYERS = """
SELECT p.program, p.member, p.draw_id, p.tickets, p.losses, p.turns, p.day, p.today, p.free_today
FROM unnest($2::text[], $3::text[], $4::text[]) AS k (program, member, draw_id)
CROSS JOIN LATERAL (
    SELECT * FROM draw_players
    WHERE chain = $1 AND program = k.program AND member = k.member AND draw_id = k.draw_id LIMIT 1
) AS p
"""
SAVE_PLAYERS = """
INSERT INTO draw_players (chain, program, member, draw_id, tickets, losses, turns, day, today, free_today)
SELECT $1::smallint, * FROM unnest($2::text[], $3::text[], $4::text[], $5::bigint[], $6::bigint[], $7::bigint[],
                                   $8::text[], $9::bigint[], $10::bigint[])
ON CONFLICT (chain, program, member, draw_id) DO UPDATE
SET tickets = EXCLUDED.tickets, losses = EXCLUDED.losses, turns = EXCLUDED.turns, day = EXCLUDED.day,
    today = EXCLUDED.today, free_today = EXCLUDED.free_today
"""
TURN_COLUMNS = """
t.turn AS id, t.program, t.member, t.draw_id AS draw, t.state, t.pay, t.points, t.day, t.begun_at, t.changed_at,
t.first_position AS position, t.seed, t.terms, t.number, t.prize, t.won, t.rewards, t.code, t.detail
"""
FIND_TURNS = f"""
SELECT {TURN_COLUMNS} FROM unnest($2::text[], $3::text[], $4::text[]) AS k (program, member, turn)
CROSS JOIN LATERAL (
    SELECT * FROM draw_turns WHERE chain = $1 AND program = k.program AND member = k.member AND turn = k.turn LIMIT 1
) AS t
"""  # noqa: S608 - constants
SAVE_TURNS = """
INSERT INTO draw_turns (chain, program, member, turn, draw_id, state, pay, points, day, begun_at, changed_at,
                        first_position, seed, terms, number, prize, won, rewards, code, detail)
SELECT $1::smallint, * FROM unnest(
    $2::text[], $3::text[], $4::text[], $5::text[], $6::text[], $7::text[], $8::bigint[], $9::text[],
    $10::timestamptz[], $11::timestamptz[], $12::bigint[], $13::bytea[], $14::bytea[], $15::bigint[], $16::text[],
    $17::boolean[], $18::text[], $19::text[], $20::text[])
ON CONFLICT (chain, program, member, turn) DO UPDATE
SET state = EXCLUDED.state, changed_at = EXCLUDED.changed_at, terms = EXCLUDED.terms, number = EXCLUDED.number,
    prize = EXCLUDED.prize, won = EXCLUDED.won, rewards = EXCLUDED.rewards, code = EXCLUDED.code,
    detail = EXCLUDED.detail
"""
LOCK_COUNTERS = """
-- Made or found, each row is locked, in the order of the keys given: two transactions never wait in a ring.
INSERT INTO draw_counters (chain, program, draw_id, counter, used)
SELECT *, 0 FROM unnest($1::smallint[], $2::text[], $3::text[], $4::text[])
ON CONFLICT (chain, program, draw_id, counter) DO UPDATE SET used = draw_counters.used
RETURNING counter, used
"""
SPEND_COUNTERS = """
INSERT INTO draw_counters (chain, program, draw_id, counter, used)
SELECT * FROM unnest($1::smallint[], $2::text[], $3::text[], $4::text[], $5::bigint[])
ON CONFLICT (chain, program, draw_id, counter) DO UPDATE SET used = draw_counters.used + EXCLUDED.used
"""


@dataclass(slots=True)
class DrawState:
    """Awards, players and turns of one chain as far as they are loaded, and which of them have changed."""

    awards: dict[AwardKey, Award] = field(default_factory=dict)
    players: dict[PlayerKey, Player] = field(default_factory=dict)
    turns: dict[TurnKey, Turn] = field(default_factory=dict)
    changed: dict[str, set[tuple[str, str, str]]] = field(
        default_factory=lambda: {"awards": set(), "players": set(), "turns": set()}
    )

    def apply(
        self, program: str, member: str, event: AwardEvent | DrawEvent, at: datetime, position: int
    ) -> None:
        """Bring what an event is about up to it. Raises InvariantBroken: it can't come where that stands."""
        if isinstance(event, AwardEvent):
            key = (program, member, event.award)
            before = self.awards.get(key)
            if isinstance(event, Promise) and before is None:
                self.awards[key] = award_life.begin(program, member, event, at, position)
            elif before is None or isinstance(event, Promise):
                raise InvariantBroken(f"{type(event).__name__} can't come to award {key}")
            else:
                self.awards[key] = award_life.evolve(before, event, at)
            self.changed["awards"].add(key)
            return
        player = (program, member, draw_of(event))
        self.players[player] = play(self.players[player], event)
        self.changed["players"].add(player)
        if not isinstance(event, TicketEvent):
            key = (program, member, event.turn)
            self.turns[key] = turn_after(self.turns.get(key), program, member, event, at, position)
            self.changed["turns"].add(key)

    def arrive(self, program: str, member: str, event: AwardMoved | PlayerMoved, position: int) -> None:
        """What came over from another member; the player that it is added to must be loaded."""
        if isinstance(event, AwardMoved):
            key = (program, member, event.award.id)
            self.awards[key] = replace(event.award, program=program, member=member, position=position)
            self.changed["awards"].add(key)
        else:
            player = (program, member, event.draw)
            self.players[player] = both(self.players[player], event.player)
            self.changed["players"].add(player)

    async def load(
        self,
        tx: Transaction,
        chain: int,
        awards: Iterable[AwardKey] = (),
        players: Iterable[PlayerKey] = (),
        turns: Iterable[TurnKey] = (),
    ) -> None:
        """Load what is there of these, by one query a table; a player who is not there has nothing yet."""
        self.awards |= await find_awards(tx, chain, awards)
        self.players |= await _find_players(tx, chain, set(players) - self.players.keys())
        self.turns |= await _find_turns(tx, chain, turns)

    async def save(self, tx: Transaction, chain: int) -> None:
        """Write what has changed, by one statement a table."""
        await save_awards(tx, chain, [self.awards[key] for key in self.changed["awards"]])
        await _save_players(tx, chain, {key: self.players[key] for key in sorted(self.changed["players"])})
        await _save_turns(tx, chain, [self.turns[key] for key in sorted(self.changed["turns"])])


class Draws:
    """What one transaction has loaded of draws and points on a chain that `journal` has locked."""

    def __init__(self, chain: int, journal: Journal) -> None:
        self.state = DrawState()
        self._chain = chain
        self._journal = journal

    def record(
        self,
        program: str,
        member: str,
        version: str,
        event: AwardEvent | DrawEvent,
        occurred_at: datetime,
        recorded_at: datetime,
        cause: tuple[str, str, bytes | None],
    ) -> int:
        """Put an event behind the chain's head and bring what it is about up to it. Returns its position."""
        position = self._journal.append(
            self._chain, program, member, event, occurred_at, recorded_at, cause, version
        )
        self.state.apply(program, member, event, occurred_at, position)
        return position

    async def write(self, tx: Transaction, now: datetime, turns_due_at: datetime) -> None:
        """Write rows and steps. What was promised is due at once; a turn is first for whoever began it."""
        state = self.state
        await state.save(tx, self._chain)
        promised: list[StepKey] = []
        settled: list[StepKey] = []
        for key in sorted(state.changed["awards"]):
            award = state.awards[key]
            (promised if award.state is AwardState.PROMISED else settled).append(
                (*key[:2], "award", award.id)
            )
        paying: list[StepKey] = []
        for key in sorted(state.changed["turns"]):
            turn = state.turns[key]
            if turn.state is TurnState.PAYING:
                paying.append((*key[:2], "turn", turn.id))
            elif turn.pay == "points":
                settled.append((*key[:2], "turn", turn.id))
        await begin_steps(tx, self._chain, promised, now)
        await begin_steps(tx, self._chain, paying, turns_due_at)
        await end_steps(tx, self._chain, settled)


async def lock_counters(
    tx: Transaction, program: str, draw: str, names: Iterable[str], chains: int
) -> dict[str, int]:
    """The counts of a draw; nobody else changes them until this transaction ends."""
    rows = _counter_rows([(program, draw, name) for name in names], chains)
    if not rows:
        return {}
    return {row["counter"]: row["used"] for row in await tx.fetch(LOCK_COUNTERS, *columns(rows))}


async def spend_counters(tx: Transaction, spent: Mapping[CounterKey, int], chains: int) -> None:
    """Add to counts, in the order in which they are locked."""
    rows = _counter_rows(spent, chains)
    if rows:
        await tx.execute(SPEND_COUNTERS, *columns([(*row, spent[row[1:]]) for row in rows]))


def turn_of(row: Mapping[str, Any]) -> Turn:
    """A turn of its row, the columns named as its fields."""
    values = dict(row)
    values["state"] = TurnState(values["state"])
    values["terms"] = terms_of_bytes(values["terms"])
    values["rewards"] = tuple(values["rewards"].split(",")) if values["rewards"] else ()
    return Turn(**values)


def player_of(row: Mapping[str, Any]) -> Player:
    """A player of its row."""
    return Player(
        row["tickets"], row["losses"], row["turns"], row["day"], row["today"], row["free_today"]
    )  # fmt: skip


def _counter_rows(keys: Iterable[CounterKey], chains: int) -> list[tuple[int, str, str, str]]:
    return sorted((spread("/".join(key).encode(), chains), *key) for key in keys)


async def _find_players(tx: Transaction, chain: int, keys: Iterable[PlayerKey]) -> dict[PlayerKey, Player]:
    wanted = sorted(keys)
    if not wanted:
        return {}
    rows = await tx.fetch(FIND_PLAYERS, chain, *columns(wanted))
    return {key: Player() for key in wanted} | {
        (row["program"], row["member"], row["draw_id"]): player_of(row) for row in rows
    }


async def _save_players(tx: Transaction, chain: int, players: Mapping[PlayerKey, Player]) -> None:
    if players:
        rows = [
            (*key, p.tickets, p.losses, p.turns, p.day, p.today, p.free_today) for key, p in players.items()
        ]
        await tx.execute(SAVE_PLAYERS, chain, *columns(rows))


async def _find_turns(tx: Transaction, chain: int, keys: Iterable[TurnKey]) -> dict[TurnKey, Turn]:
    wanted = sorted(set(keys))
    if not wanted:
        return {}
    rows = await tx.fetch(FIND_TURNS, chain, *columns(wanted))
    return {(row["program"], row["member"], row["id"]): turn_of(row) for row in rows}


async def _save_turns(tx: Transaction, chain: int, turns: Sequence[Turn]) -> None:
    if turns:
        rows = [
            (t.program, t.member, t.id, t.draw, str(t.state), t.pay, t.points, t.day, t.begun_at, t.changed_at,
             t.position, t.seed, terms_bytes(t.terms), t.number, t.prize, t.won, ",".join(t.rewards), t.code, t.detail)
            for t in turns
        ]  # fmt: skip
        await tx.execute(SAVE_TURNS, chain, *columns(rows))
