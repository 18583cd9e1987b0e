"""Reads of draws for the HTTP API."""

from __future__ import annotations

from datetime import date, datetime

from sqlalchemy import RowMapping, select, tuple_
from sqlalchemy.ext.asyncio import AsyncConnection

from services.common.chain import chain_of, spread
from services.common.db import Reader
from services.common.errors import Refusal
from services.rewards.domain.draw_terms import Draw
from services.rewards.domain.draws import Player, Turn, counters_of
from services.rewards.handle import present_of
from services.rewards.schemas_draws import DrawsView, DrawView, PrizeView
from services.rewards.store_draws import player_of, turn_of
from services.rewards.tables import draw_counters, draw_players, draw_turns, program_clocks, programs
from services.rewards.wire import program_of


class DrawViews:
    """Answers questions about draws; changes nothing."""

    def __init__(self, reader: Reader, chains: int) -> None:
        self._reader = reader
        self._chains = chains

    async def draws(self, program_id: str, member: str, now: datetime) -> DrawsView:
        """The program's draws, and what the member has there. Raises Refusal("unknown_program")."""
        chain = chain_of(member, self._chains)
        at = (programs.c.chain == program_clocks.c.chain) & (programs.c.program == program_clocks.c.program)
        in_force = (
            select(programs.c.document, programs.c.version, program_clocks.c.clock)
            .select_from(programs.outerjoin(program_clocks, at))
            .where(programs.c.chain == chain, programs.c.program == program_id)
        )
        mine = select(draw_players).where(
            draw_players.c.chain == chain,
            draw_players.c.program == program_id,
            draw_players.c.member == member,
        )
        async with self._reader.snapshot() as connection:
            row = (await connection.execute(in_force)).one_or_none()
            if row is None:
                raise Refusal(
                    "unknown_program",
                    f"no program {program_id!r} is active; programs are activated at the ledger",
                )
            program = program_of(row.document, row.version)
            day = present_of(program, row.clock, now).astimezone(program.zone).date()
            players = {r["draw_id"]: player_of(dict(r)) for r in (await connection.execute(mine)).mappings()}
            views = [
                _draw_view(
                    draw,
                    players.get(draw.id, Player()),
                    await self._used(connection, program_id, draw, day),
                    day,
                )
                for draw in program.draws.values()
            ]
        return DrawsView(draws=views)

    async def turns(
        self, program: str, member: str, before: int | None, limit: int
    ) -> tuple[list[Turn], bool]:
        """A page of a member's turns, newest first, and whether there are more behind it."""
        query = (
            select(draw_turns)
            .where(
                draw_turns.c.chain == chain_of(member, self._chains),
                draw_turns.c.program == program,
                draw_turns.c.member == member,
            )
            .order_by(draw_turns.c.first_position.desc())
            .limit(limit + 1)
        )
        if before is not None:
            query = query.where(draw_turns.c.first_position < before)
        async with self._reader.snapshot() as connection:
            found = [_turn(row) for row in (await connection.execute(query)).mappings()]
        return found[:limit], len(found) > limit

    async def turn(self, program: str, member: str, turn: str) -> Turn:
        """One turn. Raises Refusal("unknown_turn")."""
        query = select(draw_turns).where(
            draw_turns.c.chain == chain_of(member, self._chains),
            draw_turns.c.program == program,
            draw_turns.c.member == member,
            draw_turns.c.turn == turn,
        )
        async with self._reader.snapshot() as connection:
            row = (await connection.execute(query)).mappings().one_or_none()
        if row is None:
            raise Refusal("unknown_turn", f"the member has had no turn {turn!r}")
        return _turn(row)

    async def _used(self, connection: AsyncConnection, program: str, draw: Draw, day: date) -> dict[str, int]:
        keys = [
            (spread(f"{program}/{draw.id}/{name}".encode(), self._chains), program, draw.id, name)
            for name in counters_of(draw.terms, day.isoformat())
        ]
        if not keys:
            return {}
        c = draw_counters.c
        query = select(c.counter, c.used).where(tuple_(c.chain, c.program, c.draw_id, c.counter).in_(keys))
        return {row.counter: row.used for row in await connection.execute(query)}


def _draw_view(draw: Draw, player: Player, used: dict[str, int], day: date) -> DrawView:
    player = player.on(day.isoformat())
    return DrawView(
        draw=draw.id,
        name=draw.name,
        open=draw.is_open(day),
        first_day=draw.first_day,
        last_day=draw.last_day,
        prizes=[
            PrizeView(
                prize=prize.id,
                name=prize.name,
                wins=bool(prize.give),
                left=_left(prize.stock, used.get(f"prize/{prize.id}", 0)),
            )
            for prize in draw.terms.prizes
        ],
        free_left_today=_left(draw.free_per_day or None, player.free_today),
        ticket_price=draw.tickets or None,
        tickets=player.tickets,
        points_price=draw.points or None,
        turns_left_today=_left(draw.limit_day, player.today),
        turns_left=_left(draw.limit_ever, player.turns),
        losses=player.losses,
        pity_after=draw.terms.pity_after or None,
    )


def _left(most: int | None, had: int) -> int | None:
    return None if most is None else max(0, most - had)


def _turn(row: RowMapping) -> Turn:
    values = dict(row)
    del values["chain"]
    values["id"] = values.pop("turn")
    values["draw"] = values.pop("draw_id")
    values["position"] = values.pop("first_position")
    return turn_of(values)
