"""Redemptions between the domain, the messages on rewards.v1 and the columns that hold baskets and refunds."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from google.protobuf.message import Message

from services.common.codec import time_of
from services.rewards import wire_vouchers
from services.rewards.domain import events, refund_events
from services.rewards.domain.payment import BasketLine, PayingVoucher
from services.rewards.domain.redemption import Refund, RefundState
from tallybook.rewards.v1 import events_pb2 as rewards


def message_of(event: events.RedemptionEvent) -> Message:
    """The message of one of our journal's rows."""
    match event:
        case events.RedemptionRequested():
            return rewards.RedemptionRequested(
                redemption=event.redemption, reward=event.reward, order=event.order, points=event.points,
                ttl_seconds=event.ttl_seconds, kind=event.kind, name=event.name, value=event.value,
                pack=wire_vouchers.pack_message(event.pack), currency=event.currency, money=event.money,
                store=event.store, outside=event.outside, paying_points=event.paying_points, worth=event.worth,
                vouchers=[rewards.PayingVoucher(voucher=p.voucher, discount=p.discount) for p in event.vouchers],
                stocked=event.stocked, draw=event.draw, tickets=event.tickets, days=event.days,
                basket=_basket(event.lines) if event.lines else None,
            )  # fmt: skip
        case events.RedemptionReserved():
            return rewards.RedemptionReserved(
                redemption=event.redemption, expires_at=wire_vouchers.timestamp(event.expires_at)
            )
        case events.RedemptionRefused():
            return rewards.RedemptionRefused(
                redemption=event.redemption, code=event.code, detail=event.detail
            )
        case events.CaptureRequested():
            return rewards.CaptureRequested(redemption=event.redemption)
        case events.RedemptionCaptured():
            return rewards.RedemptionCaptured(redemption=event.redemption)
        case events.CancellationRequested():
            return rewards.CancellationRequested(redemption=event.redemption)
        case events.RedemptionCancelled():
            return rewards.RedemptionCancelled(redemption=event.redemption, reason=event.reason)
        case refund_events.RefundRequested():
            return rewards.RefundRequested(
                redemption=event.redemption, refund=event.refund, number=event.number, points=event.points,
                money=event.money, outside=event.outside, lines=_lines(event.lines), restock=event.restock,
                value=event.value,
            )  # fmt: skip
        case refund_events.RedemptionRefunded():
            return rewards.RedemptionRefunded(
                redemption=event.redemption, refund=event.refund, points=event.points, money=event.money,
                outside=event.outside, whole=event.whole,
            )  # fmt: skip
        case refund_events.RefundRefused():
            return rewards.RefundRefused(
                redemption=event.redemption, refund=event.refund, code=event.code, detail=event.detail
            )


def event_of(type_: str, message: Any) -> events.RedemptionEvent | None:
    """The event in a message; None for what is no event of a redemption."""
    match type_:
        case "RedemptionRequested":
            return events.RedemptionRequested(
                message.redemption, message.reward, message.order, message.points, message.ttl_seconds,
                message.kind, message.name, message.value,
                wire_vouchers.pack_of(message.pack) if message.HasField("pack") else None,
                message.currency, message.money, message.store,
                tuple(PayingVoucher(p.voucher, p.discount) for p in message.vouchers), message.outside,
                message.stocked, message.draw, message.tickets, message.days, _basket_of(message.basket),
                message.paying_points, message.worth,
            )  # fmt: skip
        case "RedemptionReserved":
            return events.RedemptionReserved(message.redemption, time_of(message.expires_at))
        case "RedemptionRefused":
            return events.RedemptionRefused(message.redemption, message.code, message.detail)
        case "CaptureRequested":
            return events.CaptureRequested(message.redemption)
        case "RedemptionCaptured":
            return events.RedemptionCaptured(message.redemption)
        case "CancellationRequested":
            return events.CancellationRequested(message.redemption)
        case "RedemptionCancelled":
            return events.RedemptionCancelled(message.redemption, message.reason)
        case "RefundRequested":
            return refund_events.RefundRequested(
                message.redemption, message.refund, message.number, message.points, message.money,
                message.outside, _lines_of(message.lines), message.restock, message.value,
            )  # fmt: skip
        case "RedemptionRefunded":
            return refund_events.RedemptionRefunded(
                message.redemption, message.refund, message.points, message.money, message.outside, message.whole
            )  # fmt: skip
        case "RefundRefused":
            return refund_events.RefundRefused(
                message.redemption, message.refund, message.code, message.detail
            )
    return None


def basket_bytes(lines: tuple[BasketLine, ...]) -> bytes:
    """The column `basket` of a redemption."""
    return _basket(lines).SerializeToString(deterministic=True)


def basket_of_bytes(value: bytes) -> tuple[BasketLine, ...]:
    """The inverse of `basket_bytes`."""
    return _basket_of(rewards.Basket.FromString(value)) if value else ()


def refunds_bytes(redemption: str, refunds: Iterable[Refund]) -> bytes:
    """The column `refunds` of a redemption."""
    message = rewards.Refunds(
        refunds=[
            rewards.Refund(
                asked=rewards.RefundRequested(
                    redemption=redemption, refund=r.id, number=r.number, points=r.points, money=r.money,
                    outside=r.outside, lines=_lines(r.lines), restock=r.restock, value=r.value,
                ),
                state=str(r.state), code=r.code, detail=r.detail,
            )
            for r in refunds
        ]
    )  # fmt: skip
    return message.SerializeToString(deterministic=True)


def refunds_of_bytes(value: bytes) -> tuple[Refund, ...]:
    """The inverse of `refunds_bytes`."""
    if not value:
        return ()
    return tuple(
        Refund(
            r.asked.refund, r.asked.number, r.asked.points, r.asked.money, r.asked.outside,
            _lines_of(r.asked.lines), r.asked.restock, RefundState(r.state), r.code, r.detail, r.asked.value,
        )
        for r in rewards.Refunds.FromString(value).refunds
    )  # fmt: skip


def _basket(lines: tuple[BasketLine, ...]) -> rewards.Basket:
    return rewards.Basket(
        lines=[
            rewards.BasketLine(
                line=line.line,
                sku=line.sku,
                category=line.category,
                quantity=line.quantity,
                amount=line.amount,
            )
            for line in lines
        ]
    )


def _basket_of(message: rewards.Basket) -> tuple[BasketLine, ...]:
    return tuple(
        BasketLine(line.line, line.sku, line.category, line.quantity, line.amount) for line in message.lines
    )


def _lines(lines: tuple[refund_events.RefundedLine, ...]) -> list[rewards.RefundedLine]:
    return [rewards.RefundedLine(line=line, quantity=quantity) for line, quantity in lines]


def _lines_of(lines: Any) -> tuple[refund_events.RefundedLine, ...]:
    return tuple((line.line, line.quantity) for line in lines)
