"""Tiers that no metric gives: by a card that was bought or issued, or by hand. Each counts from its start to its end.

A paid card that is bought again while one runs begins where that one ends. A card that is brought back is as if it had
never been bought: those bought after it begin earlier.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime

from services.tiering.domain.events import Lines, TierGranted
from services.tiering.domain.metrics import Values
from services.tiering.domain.program import Rules
from services.tiering.domain.standing import Why
from services.tiering.domain.state import Grant, Member

BY_HAND = "grant:"
BY_PURCHASE = "purchase:"
BY_ITSELF = "card:"


def bought(
    rules: Rules, member: Member, purchase: str, lines: Lines, at: datetime, now: datetime
) -> Iterator[Why]:
    """Paid cards among the lines of a purchase made at `at`; what would be over by `now` is passed over."""
    for line in lines:
        card = next((card for card in rules.cards if card.sku and card.sku == line[3]), None)
        if card is None or line[2] < 1:
            continue
        same = [grant for grant in member.grants if grant.card == card.name and grant.units]
        id_ = f"{BY_PURCHASE}{purchase}/{card.sku}"
        start = max((grant.until for grant in same if grant.until is not None), default=at)
        start = max(start, at)
        until = rules.later(start, card.months * line[2])
        if until is not None and until <= now:
            continue
        grant = next((grant for grant in same if grant.id == id_), None)
        if grant is not None:
            grant.units += line[2]
            _line_up(rules, member, card.name, grant.start)
        else:
            member.grants.append(Grant(id_, card.name, card.tier, at, start, until, card.months, line[2]))
        reason = "card_renewed" if same else "card"
        yield Why(reason, f"card {card.name} of purchase {purchase}", (), id_)


def brought_back(rules: Rules, member: Member, purchase: str, lines: Lines) -> Iterator[Why]:
    """Paid cards among the lines of a return."""
    for line in lines:
        id_ = f"{BY_PURCHASE}{purchase}/{line[3]}"
        grant = next((grant for grant in member.grants if grant.id == id_), None)
        if grant is None:
            continue
        start = grant.start
        grant.units -= line[2]
        if grant.units <= 0:
            member.grants.remove(grant)
        _line_up(rules, member, grant.card, start)
        yield Why("card_refunded", f"card {grant.card} of purchase {purchase} was brought back", (), id_)


def issued(rules: Rules, member: Member, values: Values) -> Iterator[Why]:
    """Cards that are issued to whoever meets their condition: each once."""
    for card in rules.cards:
        if card.condition is None or card.name in member.issued or not card.condition.holds(values):
            continue
        id_ = f"{BY_ITSELF}{card.name}"
        member.issued.append(card.name)
        until = rules.later(member.as_of, card.months)
        member.grants.append(
            Grant(id_, card.name, card.tier, member.as_of, member.as_of, until, card.months, 0)
        )
        yield Why("card", f"card {card.name}: {card.condition.words(rules.metrics, True)}", (), id_)


def granted(member: Member, event: TierGranted, at: datetime) -> Why:
    """A tier by hand, until it ends."""
    id_ = BY_HAND + event.grant
    member.grants.append(Grant(id_, "", event.tier, at, at, event.until, 0, 0))
    return Why("grant", f"granted by hand: {event.reason}", (), id_)


def revoked(member: Member, grant: str, reason: str) -> Why | None:
    """A tier by hand is taken back; None when it has ended already."""
    found = next((each for each in member.grants if each.id == BY_HAND + grant), None)
    if found is None:
        return None
    member.grants.remove(found)
    return Why("grant_revoked", f"the grant was taken back: {reason}", (), found.id)


def turn(member: Member, at: datetime) -> Why | None:
    """Let begin and end what begins and ends by `at`. Returns the last end, or the last beginning, if there was any."""
    why = None
    for grant in member.grants:
        if not grant.started and grant.start <= at:
            grant.started = True
            what = f"card {grant.card} began" if grant.card else "the grant began"
            why = Why("card" if grant.card else "grant", what, (), grant.id)
    for grant in [each for each in member.grants if each.until is not None and each.until <= at]:
        member.grants.remove(grant)
        following = [
            each for each in member.grants if each.started and grant.card and each.card == grant.card
        ]
        if following:
            why = Why("card_renewed", f"card {grant.card} was bought again in time", (), following[-1].id)
        elif grant.card:
            why = Why("card_ended", f"card {grant.card} ended", (), grant.id)
        else:
            why = Why("grant_ended", "the grant ended", (), grant.id)
    return why


def best(rules: Rules, member: Member) -> tuple[int, datetime | None, str]:
    """(rank, until, grant) of the best that the member has: the standing unless a grant gives more.

    Of those that give the same tier the longest counts. `grant` is empty for the standing.
    """
    standing = member.standing
    rank, until, by = rules.rank(standing.tier), standing.until, ""
    for grant in member.grants:
        if not grant.started:
            continue
        other = rules.rank(grant.tier)
        if other > rank:
            rank, until, by = other, grant.until, grant.id
        elif other == rank and until is not None and (grant.until is None or grant.until > until):
            until, by = grant.until, by or grant.id
    return (rank, until, by) if rank else (0, None, "")


def _line_up(rules: Rules, member: Member, card: str, start: datetime) -> None:
    """The paid cards of one name that begin at `start` or later, one after the other again."""
    free = start
    for grant in sorted(
        (g for g in member.grants if g.card == card and g.units and g.start >= start),
        key=lambda g: (g.start, g.at),
    ):
        grant.start = max(free, grant.at)
        grant.until = rules.later(grant.start, grant.months * grant.units)
        if grant.until is None:
            return
        free = grant.until
