"""Decides how a redemption begins: what the order comes to, and whether what is offered pays for it.

An order is told in one of two ways. Its lines are what it costs and one voucher is named; or, with `expected`, its
lines are what anybody would pay, and prices, vouchers and what points are worth are those of a quote (`quote`).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime

from services.common.errors import Refusal
from services.rewards.domain import value_sales
from services.rewards.domain.catalogue import Looked, Reward, why_not
from services.rewards.domain.events import RedemptionEvent, RedemptionRequested
from services.rewards.domain.payment import BasketLine, PayingVoucher, check_lines, check_paid
from services.rewards.domain.program import Program
from services.rewards.domain.quote import Basket, Customer, QuoteLine, quote
from services.rewards.domain.redemption import Redemption
from services.rewards.domain.voucher_terms import Line
from services.rewards.domain.vouchers import Voucher, take

NO_REWARD = Reward("", "", "", 0, 0)
"""An order that is paid with stored value, and takes nothing from the catalogue."""


@dataclass(slots=True, frozen=True)
class Reserve:
    """Set aside what an order is paid with. `ttl_seconds` None: the program's own. Money is minor units.

    `reward` is a reward of the catalogue, or "" where the order is paid without one. `money` of stored value comes on
    top of the reward's own price, and so do `points`, which need `expected`: what the caller takes for the total.
    """

    redemption: str
    member: str
    reward: str
    order: str
    ttl_seconds: int | None
    store: str = ""
    money: int = 0
    voucher: str = ""
    outside: int = 0
    lines: tuple[BasketLine, ...] = ()
    points: int = 0
    expected: int | None = None


@dataclass(slots=True, frozen=True)
class _Order:
    """What the order comes to: `total` after prices and `vouchers`, of which points pay `worth`; minor units."""

    total: int
    lines: tuple[BasketLine, ...]
    vouchers: tuple[PayingVoucher, ...] = ()
    worth: int = 0


def reserve(
    program: Program | None,
    redemption: Redemption | None,
    command: Reserve,
    looked: Looked,
    voucher: Voucher | None = None,
    customer: Customer | None = None,
) -> list[RedemptionEvent]:
    """Begin a redemption; `voucher` is the one that the command names, `customer` who the member is to prices.

    The refusals are in order (docs/redemptions.md); out_of_stock comes last of all. Whether the member exists and has
    the points and the money is the ledger's to say: this service hears of it later.
    """
    if redemption is not None:
        raise Refusal(
            "id_reused", f"there is already a redemption {command.redemption!r}: take a new Idempotency-Key"
        )
    if program is None:
        raise Refusal("unknown_program", "no such program is active; programs are activated at the ledger")
    reward = program.catalogue.get(command.reward, NO_REWARD if not command.reward else None)
    if reward is None:
        raise Refusal("unknown_reward", f"the catalogue of {program.id!r} has no reward {command.reward!r}")
    reasons = why_not(reward, looked, program.lowest_tier)
    for reason in reasons:
        if reason[0] != "out_of_stock":
            raise Refusal(*reason)
    if command.expected is None:
        order = _as_told(command, voucher, looked.at)
    else:
        order = _as_quoted(program, command, command.expected, customer or Customer(), looked.at)
    if command.lines:
        value = reward.value if reward.kind == "discount" else 0
        check_paid(order.total, value, order.worth, command.money, command.outside)
    for reason in reasons:
        raise Refusal(*reason)
    money = reward.money + command.money
    counts_money = (
        money or order.vouchers or command.outside or order.worth or reward.kind == value_sales.KIND
    )
    return [
        RedemptionRequested(
            redemption=command.redemption,
            reward=reward.id,
            order=command.order,
            points=reward.points + command.points,
            ttl_seconds=program.ttl_seconds if command.ttl_seconds is None else command.ttl_seconds,
            kind=reward.kind,
            name=reward.name,
            value=reward.value,
            pack=reward.pack,
            currency=program.currency if counts_money else "",
            money=money,
            store=command.store,
            vouchers=order.vouchers,
            outside=command.outside,
            stocked=reward.stock is not None,
            draw=reward.draw,
            tickets=reward.tickets,
            days=reward.days,
            lines=order.lines,
            paying_points=command.points,
            worth=order.worth,
        )
    ]


def _as_told(command: Reserve, voucher: Voucher | None, at: datetime) -> _Order:
    """The lines are what the order costs, less what the voucher takes off. Refusals: the voucher's, line_repeated."""
    vouchers: tuple[PayingVoucher, ...] = ()
    if command.voucher:
        lines = [Line(line.sku, line.category, line.quantity, line.amount) for line in command.lines]
        off = take(voucher, command.voucher, command.store, lines, at)
        vouchers = (PayingVoucher(command.voucher, off),)
    check_lines(command.lines)
    total = sum(line.amount for line in command.lines) - sum(paying.discount for paying in vouchers)
    return _Order(max(0, total), tuple(replace(line, new=False) for line in command.lines), vouchers)


def _as_quoted(program: Program, command: Reserve, expected: int, customer: Customer, at: datetime) -> _Order:
    """What a quote of the lines says. The lines keep what is left of them: a refund's shares are shares of that.

    Refusals, in order: line_repeated, price_changed, then those of `PointsAsPayment.worth_of`.
    """
    asked = [
        QuoteLine(line.line, line.sku, line.category, line.quantity, line.amount, line.new)
        for line in command.lines
    ]
    quoted = quote(program, customer, Basket(asked, command.store), at)
    if quoted.total != expected:
        raise Refusal(
            "price_changed", f"the order comes to {quoted.total}, not to {expected}: ask for a new quote"
        )
    worth = 0
    if command.points:
        terms = program.pricing.points
        if terms is None:
            raise Refusal(
                "points_not_taken", "the program takes no points as payment: see `points_as_payment`"
            )
        worth = terms.worth_of(command.points, quoted.total)
    lines = tuple(
        BasketLine(q.line.id, q.line.sku, q.line.category, q.line.quantity, q.left) for q in quoted.lines
    )
    applied = [one for one in quoted.vouchers if not one.why_not]
    return _Order(
        quoted.total, lines, tuple(PayingVoucher(one.voucher.id, one.off) for one in applied), worth
    )
