"""Draws, tickets and points between the domain, the messages on rewards.v1 and the column that holds a draw's terms."""

from __future__ import annotations

from typing import Any

from google.protobuf.message import Message

from services.rewards.domain import award_events, draw_events
from services.rewards.domain.award_events import AwardEvent
from services.rewards.domain.draw_events import Chance, Count, DrawEvent, DrawMade, TurnBegun
from services.rewards.domain.draw_terms import DrawTerms, Prize
from services.rewards.domain.gifts import Gift, MoneyGift, PointsGift, RewardGift, TicketsGift
from services.rewards.domain.voucher_terms import Pack
from services.rewards.wire_vouchers import pack_message, pack_of
from tallybook.rewards.v1 import events_pb2 as rewards

PLAIN: dict[str, type[Any]] = {
    cls.__name__: cls
    for cls in (
        award_events.PointsPromised,
        award_events.PointsGiven,
        award_events.PointsRefused,
        award_events.MoneyPromised,
        award_events.MoneyGiven,
        award_events.MoneyRefused,
        draw_events.TicketsGiven,
        draw_events.TicketsTaken,
        draw_events.TurnRefused,
    )
}
"""Events whose fields are texts and numbers, named as their message's."""
MADE = tuple(name for name in DrawMade.__dataclass_fields__ if name not in ("chances", "counts", "rewards"))
CHANCE = tuple(Chance.__dataclass_fields__)


def message_of(event: AwardEvent | DrawEvent) -> Message:
    """The message of one of our journal's rows."""
    match event:
        case TurnBegun():
            return rewards.TurnBegun(
                turn=event.turn, terms=_terms(event.terms), seed=event.seed, day=event.day, points=event.points
            )  # fmt: skip
        case DrawMade():
            chances = [
                rewards.Chance(**{name: getattr(chance, name) for name in CHANCE}) for chance in event.chances
            ]
            plain = {name: getattr(event, name) for name in MADE}
            counts = [rewards.Count(counter=count.counter, added=count.added) for count in event.counts]
            return rewards.DrawMade(**plain, chances=chances, counts=counts, rewards=event.rewards)
    message: Message = getattr(rewards, type(event).__name__)(
        **{name: getattr(event, name) for name in type(event).__dataclass_fields__}
    )
    return message


def event_of(type_: str, message: Any) -> AwardEvent | DrawEvent | None:
    """The event in a message; None for what is no event of a draw or of points."""
    match type_:
        case "TurnBegun":
            return TurnBegun(
                message.turn, _terms_of(message.terms), message.seed, message.day, message.points
            )
        case "DrawMade":
            plain = {name: getattr(message, name) for name in MADE}
            chances = tuple(
                Chance(chance.prize, chance.weight, chance.out, chance.loss) for chance in message.chances
            )
            counts = tuple(Count(count.counter, count.added) for count in message.counts)
            return DrawMade(**plain, chances=chances, counts=counts, rewards=tuple(message.rewards))
    cls = PLAIN.get(type_)
    if cls is None:
        return None
    event: AwardEvent | DrawEvent = cls(**{name: getattr(message, name) for name in cls.__dataclass_fields__})
    return event


def terms_bytes(terms: DrawTerms | None) -> bytes | None:
    """The column `terms` of a turn: the same terms give the same bytes."""
    return None if terms is None else _terms(terms).SerializeToString(deterministic=True)


def terms_of_bytes(value: bytes | None) -> DrawTerms | None:
    """The inverse of `terms_bytes`."""
    return None if value is None else _terms_of(rewards.DrawTerms.FromString(value))


def _terms(terms: DrawTerms) -> rewards.DrawTerms:
    prizes = [
        rewards.Prize(
            id=prize.id, name=prize.name, weight=prize.weight, stock=prize.stock, cost=prize.cost,
            give=[_gift(gift) for gift in prize.give],
        )
        for prize in terms.prizes
    ]  # fmt: skip
    return rewards.DrawTerms(
        id=terms.id, prizes=prizes, budget_day=terms.budget_day, budget_ever=terms.budget_ever,
        pity_after=terms.pity_after, pity_prize=terms.pity_prize,
    )  # fmt: skip


def _terms_of(message: Any) -> DrawTerms:
    prizes = tuple(
        Prize(
            prize.id, prize.name, prize.weight, tuple(_gift_of(gift) for gift in prize.give),
            prize.stock if prize.HasField("stock") else None, prize.cost,
        )
        for prize in message.prizes
    )  # fmt: skip
    return DrawTerms(
        message.id, prizes,
        message.budget_day if message.HasField("budget_day") else None,
        message.budget_ever if message.HasField("budget_ever") else None,
        message.pity_after, message.pity_prize,
    )  # fmt: skip


def _gift(gift: Gift) -> rewards.Gift:
    match gift:
        case Pack():
            return rewards.Gift(pack=pack_message(gift))
        case PointsGift(points):
            return rewards.Gift(points=points)
        case MoneyGift(money, currency):
            return rewards.Gift(money=money, currency=currency)
        case TicketsGift(draw, tickets):
            return rewards.Gift(draw=draw, tickets=tickets)
        case RewardGift(reward):
            return rewards.Gift(reward=reward)


def _gift_of(message: Any) -> Gift:
    if message.HasField("pack"):
        return pack_of(message.pack)
    if message.points:
        return PointsGift(message.points)
    if message.money:
        return MoneyGift(message.money, message.currency)
    return TicketsGift(message.draw, message.tickets) if message.draw else RewardGift(message.reward)
