"""Decides refunds of what was captured: whole, by amount or by line, and never more than was paid."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from services.common.errors import Refusal
from services.rewards.domain.awards import Award
from services.rewards.domain.payment import share
from services.rewards.domain.redemption import Redemption, RefundState, State
from services.rewards.domain.refund_events import (
    RedemptionRefunded,
    RefundedLine,
    RefundEvent,
    RefundRefused,
    RefundRequested,
)
from services.rewards.domain.value_sales import to_take_back
from services.rewards.domain.vouchers import USABLE, Voucher

REFUNDS_MAX = 100
"""Of one redemption."""

NOT_REFUNDABLE: dict[State, tuple[str, str]] = {
    State.RESERVING: ("redemption_not_captured", "nothing was spent yet: cancel it instead"),
    State.RESERVED: ("redemption_not_captured", "nothing was spent yet: cancel it instead"),
    State.CAPTURING: ("redemption_being_captured", "another request is capturing it: try again in a moment"),
    State.CANCELLING: (
        "redemption_being_cancelled",
        "another request is cancelling it: what it holds will be free again",
    ),
    State.CANCELLED: ("already_cancelled", "nothing was spent"),
    State.TIMED_OUT: ("redemption_timed_out", "nothing was spent"),
    State.REFUSED: ("redemption_refused", "nothing was spent"),
    State.REFUNDING: ("redemption_being_refunded", "another refund is under way: try again in a moment"),
    State.REFUNDED: ("already_refunded", "all of it was given back"),
}
"""Why a redemption that is not `captured` can't be refunded."""


@dataclass(slots=True, frozen=True)
class AskRefund:
    """Give something back: what `lines` were paid with; or `points` and `money`; or, of neither, all that is left.

    `restock`: the reward itself came back and can be had again.
    """

    redemption: str
    refund: str
    points: int | None = None
    money: int | None = None
    lines: tuple[RefundedLine, ...] = ()
    restock: bool = False


def request_refund(
    redemption: Redemption | None, asked: AskRefund, pack: Sequence[Voucher] = (), credit: Award | None = None
) -> list[RefundEvent]:
    """Begin a refund; `pack` are the vouchers and `credit` is the stored value that the redemption gave.

    Refusals, in order: unknown_redemption, then `NOT_REFUNDABLE`, refunds_exhausted, those of `_by_line` or
    refund_exceeds_payment, nothing_to_refund, not_stocked, voucher_pack_used, stored_value_on_its_way. Where nothing
    of it is the ledger's to give (paid outside or by vouchers only), it is refunded at once.
    """
    if redemption is None:
        raise Refusal("unknown_redemption", f"the member has no redemption {asked.redemption!r}")
    if redemption.state is not State.CAPTURED:
        code, detail = NOT_REFUNDABLE[redemption.state]
        raise Refusal(code, detail)
    if len(redemption.refunds) >= REFUNDS_MAX:
        raise Refusal("refunds_exhausted", f"a redemption can be refunded {REFUNDS_MAX} times")
    points, money, outside = _amounts(redemption, asked)
    whole = (points, money, outside) == redemption.left
    if whole and not (points or money or outside):
        # Vouchers paid for all of it: no amount says how much of it comes back.
        whole = _names_all(redemption, asked)
    if not (points or money or outside or asked.lines or whole):
        raise Refusal(
            "nothing_to_refund", "name points, money or lines, or nothing at all for all that is left"
        )
    if asked.restock and not redemption.takes_stock:
        raise Refusal("not_stocked", "it takes none of the reward's stock, or has put it back")
    if whole and any(voucher.state not in USABLE for voucher in pack):
        raise Refusal(
            "voucher_pack_used", "a voucher that it gave was used or given away: refund a part of it"
        )
    value = to_take_back(credit) if whole else 0
    requested = RefundRequested(
        redemption.id,
        asked.refund,
        len(redemption.refunds) + 1,
        points,
        money,
        outside,
        asked.lines,
        asked.restock,
        value,
    )
    if points or money or value:
        return [requested]
    return [requested, RedemptionRefunded(redemption.id, asked.refund, 0, 0, outside, whole)]


def settle_refund(redemption: Redemption, number: int, refused: tuple[str, str] | None) -> list[RefundEvent]:
    """What follows from the ledger's answer to refund `number`. Empty when it tells nothing new."""
    if redemption.state is not State.REFUNDING or redemption.refunding.number != number:
        return []
    refund = redemption.refunding
    if refused is not None:
        return [RefundRefused(redemption.id, refund.id, *refused)]
    whole = redemption.left == (0, 0, 0)
    return [RedemptionRefunded(redemption.id, refund.id, refund.points, refund.money, refund.outside, whole)]


def outcome_of_refund(redemption: Redemption, refund_id: str) -> Redemption:
    """What to tell whoever asked for a refund, once and again.

    Raises:
        Refusal: the ledger's own code; `temporarily_unavailable` while it has not answered.
    """
    for refund in redemption.refunds:
        if refund.id == refund_id and refund.state is RefundState.REFUSED:
            raise Refusal(refund.code, refund.detail)
        if refund.id == refund_id and refund.state is RefundState.REQUESTED:
            raise Refusal(
                "temporarily_unavailable",
                "the ledger has not answered; the refund will be driven on: send the same request again, with the "
                "same Idempotency-Key",
            )
    return redemption


def ledger_key(redemption: str, number: int) -> str:
    """The Idempotency-Key of a refund at the ledger: it fits into the ledger's limit whatever the caller's key was."""
    return f"{redemption}:refund{number}"


def from_ledger_key(key: str) -> tuple[str, int] | None:
    """(redemption, number) of a refund's key at the ledger; None for one that is not ours."""
    redemption, mark, number = key.rpartition(":refund")
    return (redemption, int(number)) if mark and number.isascii() and number.isdigit() else None


def _amounts(redemption: Redemption, asked: AskRefund) -> tuple[int, int, int]:
    """(points, money, outside) to give back."""
    points, money, outside = redemption.left
    if asked.lines:
        return _by_line(redemption, asked.lines)
    if asked.points is None and asked.money is None:
        return points, money, outside
    wanted = asked.points or 0, asked.money or 0, 0
    if wanted[0] > points or wanted[1] > money:
        raise Refusal(
            "refund_exceeds_payment", f"{points} points and {money} of stored value can still be given back"
        )
    return wanted


def _by_line(redemption: Redemption, lines: Sequence[RefundedLine]) -> tuple[int, int, int]:
    """A line is worth its share of the basket in everything that the order was paid with, less what came back before.

    Refusals, in order: basket_unknown; line by line line_unknown, quantity_exceeds_basket. Shares are floored over
    all that has come back, so that the last line brings the last point.
    """
    if not redemption.lines:
        raise Refusal("basket_unknown", "the redemption was made without its basket: refund it by amount")
    came = _came_back(redemption)
    basket = {line.line: line for line in redemption.lines}
    for line, quantity in lines:
        if line not in basket:
            raise Refusal("line_unknown", f"the basket has no line {line}")
        came[line] = came.get(line, 0) + quantity
        if came[line] > basket[line].quantity:
            raise Refusal(
                "quantity_exceeds_basket",
                f"line {line}: {came[line]} of {basket[line].quantity} units would have come back",
            )
    if _is_all(redemption, came):
        return redemption.left
    total = sum(line.amount for line in redemption.lines)
    part = sum(share(basket[line].amount, quantity, basket[line].quantity) for line, quantity in came.items())
    paid = redemption.points, redemption.money, redemption.outside
    # What a refund by amount gave back before is no longer there for a line.
    points, money, outside = (
        max(0, share(amount, part, total) - (amount - left))
        for amount, left in zip(paid, redemption.left, strict=True)
    )
    return points, money, outside


def _came_back(redemption: Redemption, lines: Sequence[RefundedLine] = ()) -> dict[int, int]:
    """Units by line that refunds have brought back, or may, with `lines` counted in."""
    came: dict[int, int] = {}
    for line, quantity in (*(back for refund in redemption.given_back for back in refund.lines), *lines):
        came[line] = came.get(line, 0) + quantity
    return came


def _is_all(redemption: Redemption, came: Mapping[int, int]) -> bool:
    return all(came.get(line.line) == line.quantity for line in redemption.lines)


def _names_all(redemption: Redemption, asked: AskRefund) -> bool:
    """Nothing in particular is asked for, or the last of the lines."""
    if asked.lines:
        return _is_all(redemption, _came_back(redemption, asked.lines))
    return asked.points is None and asked.money is None
