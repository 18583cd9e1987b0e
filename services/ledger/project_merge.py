"""What the rows of a merge touch (see project.Changes.note)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from services.ledger.domain import events as e
from services.ledger.domain.book import POINTS
from services.ledger.domain.merge_effects import Arrival

if TYPE_CHECKING:
    from services.ledger.project import Changes

MergeEvent = e.MembersMerged | e.MemberAbsorbed | Arrival


def note_merge(changes: Changes, key: tuple[str, str], event: MergeEvent, position: int) -> None:
    """One event of a merge was appended for the member `key` at `position`."""
    match event:
        case e.MembersMerged():
            changes.accounts[key] = None
            changes.members.setdefault(key, True)
        case e.MemberAbsorbed():
            changes.accounts[key] = None
            changes.members.setdefault(key, True)
            changes.touch(*key, event.allocations)
            for of, lot, amount in event.money:
                changes.money[(*key, of)] = None
                changes.touch(*key, [(lot, amount)])
            for purchase, id_ in event.parked:
                changes.unpark(*key, purchase, id_)
            for hold in event.holds:
                changes.holds.setdefault((*key, hold), True)
            changes.profiles[key] = None
            changes.unlink(key[0], [digest for _, digest in event.identifiers])
        case e.LotMoved():
            if event.asset == POINTS:
                changes.accounts[key] = None
            else:
                changes.money[(*key, event.asset)] = None
            changes.new_lots[(*key, position)] = None
        case e.HoldMoved():
            changes.accounts[key] = None
            changes.holds[(*key, event.hold)] = False
        case e.CountersMoved():
            changes.counters |= {(*key, counter.name): None for counter in event.counters}
        case e.TopUpMoved():
            changes.top_ups[(*key, event.top_up)] = None
        case e.AwardsMoved():
            changes.award_counts |= {(*key, slot): None for slot, _ in event.counts}
        case e.ReferralMoved():
            changes.referrals[key] = None
        case e.SettlementMoved():
            changes.settlements[(*key, event.purchase)] = None
