"""What a member had of rewards at an instant that is past: folded from our own journal.

By business time a redemption, a voucher, points promised and a member's part in a draw are each as they were before the
first row of theirs that is dated later: each has a life of its own, whose steps can't be left out one by one.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import datetime

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncConnection

from services.common.as_of import ROWS_MAX, By, last_rows, member_rows
from services.common.chain import chain_of
from services.common.errors import InvariantBroken, Refusal
from services.rewards.domain.award_events import AwardEvent
from services.rewards.domain.draw_events import DrawEvent
from services.rewards.domain.draws import Player, draw_of
from services.rewards.domain.events import RedemptionEvent
from services.rewards.domain.moving import (
    AnyEvent,
    AwardMoved,
    GrantMoved,
    HoldingsLeft,
    PlayerMoved,
    RedemptionMoved,
    VoucherMoved,
)
from services.rewards.domain.redemption import Redemption
from services.rewards.domain.voucher_events import VoucherStep
from services.rewards.domain.vouchers import Voucher
from services.rewards.project import project
from services.rewards.schemas_audit import AsOfView, AwardThen, PlayerThen
from services.rewards.schemas_draws import turn_view
from services.rewards.schemas_redemptions import redemption_view
from services.rewards.schemas_vouchers import voucher_view
from services.rewards.store_draws import DrawState
from services.rewards.store_vouchers import project_voucher
from services.rewards.tables import metadata, wallets
from services.rewards.wire import event_of

LISTED_MAX = 200
"""The newest of each kind are listed."""


@dataclass(slots=True)
class Had:
    """What a member had, by the functions that write the tables."""

    redemptions: dict[tuple[str, str, str], Redemption] = field(default_factory=dict)
    vouchers: dict[tuple[str, str, str], Voucher] = field(default_factory=dict)
    draws: DrawState = field(default_factory=DrawState)

    def take(self, who: tuple[str, str], version: str, event: AnyEvent, at: datetime, position: int) -> None:
        """One row of (program, member). Raises InvariantBroken."""
        if isinstance(event, HoldingsLeft):
            self._leave(who, event)
        elif isinstance(event, VoucherMoved):
            came = replace(event.voucher, program=who[0], member=who[1], position=position)
            self.vouchers[*who, came.id] = came
        elif isinstance(event, RedemptionMoved):
            moved = replace(event.redemption, program=who[0], member=who[1], position=position)
            self.redemptions[*who, moved.id] = moved
        elif isinstance(event, AwardMoved | PlayerMoved):
            if isinstance(event, PlayerMoved):
                self.draws.players.setdefault((*who, event.draw), Player())
            self.draws.arrive(*who, event, position)
        elif isinstance(event, RedemptionEvent):
            project(self.redemptions, (*who, event.redemption), version, event, at, position)
        elif isinstance(event, VoucherStep):
            project_voucher(self.vouchers, (*who, event.voucher), event, at, position)
        elif isinstance(event, DrawEvent):
            self.draws.players.setdefault((*who, draw_of(event)), Player())
            self.draws.apply(*who, event, at, position)
        elif isinstance(event, AwardEvent):
            self.draws.apply(*who, event, at, position)

    def _leave(self, who: tuple[str, str], event: HoldingsLeft) -> None:
        """What went over to another member is not this one's any more."""
        for kept, names in (
            (self.vouchers, event.vouchers), (self.redemptions, event.redemptions),
            (self.draws.awards, event.awards), (self.draws.players, event.draws),
        ):  # fmt: skip
            for name in names:
                kept.pop((*who, name), None)


def thing_of(event: AnyEvent) -> tuple[str, str] | None:
    """Whose life a row is a step of; None for one that says nothing of what a member has."""
    match event:
        case VoucherMoved(voucher=voucher):
            return "voucher", voucher.id
        case RedemptionMoved(redemption=redemption):
            return "redemption", redemption.id
        case AwardMoved(award=award):
            return "award", award.id
        case PlayerMoved(draw=draw):
            return "draw", draw
        case HoldingsLeft():
            return "merge", event.into
        case GrantMoved():
            return None
    if isinstance(event, RedemptionEvent):
        return "redemption", event.redemption
    if isinstance(event, VoucherStep):
        return "voucher", event.voucher
    if isinstance(event, DrawEvent):
        return "draw", draw_of(event)
    return ("award", event.award) if isinstance(event, AwardEvent) else None


async def member(
    connection: AsyncConnection,
    chains: int,
    program: str,
    member_id: str,
    at: datetime,
    by: By,
    rows_max: int | None = ROWS_MAX,
) -> AsOfView:
    """Redemptions, vouchers, points promised and draws of a member at `at`; points and tiers are told by their owners.

    Raises Refusal unknown_member, history_too_long, book_broken.
    """
    chain = chain_of(member_id, chains)
    w = wallets.c
    told = select(w.member).where(w.chain == chain, w.program == program, w.member == member_id)
    if (await connection.execute(told)).scalar_one_or_none() is None:
        raise Refusal(
            "unknown_member", f"the ledger has told of no member {member_id!r} in program {program!r}"
        )
    last = (await last_rows(connection, [chain], at))[chain] if by is By.RECORDED else None
    had, over = Had(), set[tuple[str, str]]()
    position = 0
    journal = metadata.tables["journal"]
    async for row in member_rows(connection, journal, (chain, program, member_id), last, rows_max):
        event = event_of(row.type, row.payload)
        thing = thing_of(event)
        if thing is None or thing in over:
            continue
        if by is By.BUSINESS and row.occurred_at > at:
            over.add(thing)
            continue
        try:
            # The version that a redemption was asked for under is none of what is shown.
            had.take((program, member_id), "", event, row.occurred_at, row.position)
        except InvariantBroken as broken:
            raise Refusal(
                "book_broken",
                f"row {chain}:{row.position} can't follow from the rows before it ({broken}): run `tally verify`",
            ) from broken
        position = row.position
    return _view(had, program, member_id, at, by, chain, position)


def _view(
    had: Had, program: str, member_id: str, at: datetime, by: By, chain: int, position: int
) -> AsOfView:
    redemptions = sorted(had.redemptions.values(), key=lambda r: -r.position)
    vouchers = sorted(had.vouchers.values(), key=lambda v: -v.position)
    turns = sorted(had.draws.turns.values(), key=lambda t: -t.position)
    awards = sorted(had.draws.awards.values(), key=lambda a: -a.position)
    return AsOfView(
        program=program,
        member=member_id,
        at=at,
        by=by.value,
        chain=chain,
        position=position,
        redemptions=[redemption_view(redemption) for redemption in redemptions[:LISTED_MAX]],
        vouchers=[voucher_view(voucher) for voucher in vouchers[:LISTED_MAX]],
        awards=[AwardThen.model_validate(award, from_attributes=True) for award in awards[:LISTED_MAX]],
        draws=[
            PlayerThen(draw=draw, tickets=player.tickets, turns=player.turns, losses=player.losses)
            for (_, _, draw), player in sorted(had.draws.players.items())
        ],
        turns=[turn_view(turn) for turn in turns[:LISTED_MAX]],
    )
