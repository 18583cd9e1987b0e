"""The decider: commands in, events out. Every check comes first; after the first event nothing can fail.

`decide` is a generator, and the one who drives it (`run`) puts each event into the book before asking for the
next, so that a decision of several events reads from top to bottom.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from services.ledger.domain.adjustments import adjust, approve, decline
from services.ledger.domain.book import Book
from services.ledger.domain.clock import activate_program, advance_clock
from services.ledger.domain.commands import (
    ActivateProgram,
    Adjust,
    AdvanceClock,
    ApproveAdjustment,
    AssignTier,
    AwardMoney,
    CaptureHold,
    CloseMember,
    Command,
    DeclineAdjustment,
    Enrol,
    EraseMember,
    MergeMembers,
    PlaceHold,
    ReactivateMember,
    RecordInteraction,
    RecordPurchase,
    RecordReferral,
    RecordReturn,
    RecordTopUp,
    RefundSpend,
    ReleaseHold,
    ReverseTopUp,
    RewardReferral,
    SendGift,
    SetProfile,
    SuspendMember,
    TakeBackMoney,
    UnlinkIdentifiers,
)
from services.ledger.domain.events import Decided
from services.ledger.domain.evolve import evolve
from services.ledger.domain.holds import capture_hold, place_hold, release_hold
from services.ledger.domain.interactions import record_interaction
from services.ledger.domain.members import assign_tier, close, enrol, reactivate, suspend, unlink
from services.ledger.domain.merge import merge_members
from services.ledger.domain.money_awards import award_money, take_back_money
from services.ledger.domain.parked_returns import record_purchase_and_parked
from services.ledger.domain.profile import erase_member, set_profile
from services.ledger.domain.referrals import record_referral, reward_referral
from services.ledger.domain.refunds import refund_spend
from services.ledger.domain.returns import record_return
from services.ledger.domain.stored_value import record_top_up, reverse_top_up, send_gift

DECIDERS: dict[type[Command], Callable[[Book, Any], Iterator[Decided]]] = {
    RecordPurchase: record_purchase_and_parked,
    RecordReturn: record_return,
    RecordInteraction: record_interaction,
    RecordReferral: record_referral,
    RewardReferral: reward_referral,
    PlaceHold: place_hold,
    CaptureHold: capture_hold,
    ReleaseHold: release_hold,
    RefundSpend: refund_spend,
    Adjust: adjust,
    ApproveAdjustment: approve,
    DeclineAdjustment: decline,
    UnlinkIdentifiers: unlink,
    SuspendMember: suspend,
    ReactivateMember: reactivate,
    CloseMember: close,
    Enrol: enrol,
    AssignTier: assign_tier,
    MergeMembers: merge_members,
    SetProfile: set_profile,
    EraseMember: erase_member,
    AdvanceClock: advance_clock,
    ActivateProgram: activate_program,
    RecordTopUp: record_top_up,
    ReverseTopUp: reverse_top_up,
    SendGift: send_gift,
    AwardMoney: award_money,
    TakeBackMoney: take_back_money,
}
"""Who decides what."""


def run(book: Book, command: Command, append: Callable[[Decided], int]) -> list[tuple[int, Decided]]:
    """Decide, append and evolve, event by event. `append` returns the event's position in the chain.

    Raises:
        Refusal: before anything was appended.
    """
    done: list[tuple[int, Decided]] = []
    for decided in decide(book, command):
        position = append(decided)
        chain = command.chain if decided.chain is None else decided.chain
        evolve(book, chain, command.program, decided, position)
        done.append((position, decided))
    return done


def decide(book: Book, command: Command) -> Iterator[Decided]:
    """The events that follow from a command. Raises Refusal before the first one."""
    return DECIDERS[type(command)](book, command)
