"""What a basket costs a member and how it may be paid, with reasons. Changes nothing.

First the member prices of each line, then the vouchers on what the prices left, then what points and stored value can
pay of the rest. All of it in whole minor units: what is taken off is floored, so a price is never below zero, and the
parts add up to the whole.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime

from services.common.errors import Refusal
from services.rewards.domain.prices import Price, Stacking
from services.rewards.domain.program import Program
from services.rewards.domain.standing import NOT_TOLD, Standing
from services.rewards.domain.voucher_terms import Line, Terms, discount, is_eligible
from services.rewards.domain.vouchers import USABLE, Voucher

OUTDONE = "another_takes_more"


@dataclass(slots=True, frozen=True)
class QuoteLine:
    """A line as the till would charge anybody; `amount` is minor units for all its units."""

    id: int
    sku: str
    category: str
    quantity: int
    amount: int
    new: bool = False
    """The till says that it is; the program may say so too."""
    brand: str = ""


@dataclass(slots=True, frozen=True)
class Basket:
    """What is asked about."""

    lines: Sequence[QuoteLine]
    store: str = ""
    channel: str = ""


@dataclass(slots=True, frozen=True)
class Customer:
    """What is known of the member: points and money that can be spent, and vouchers."""

    standing: Standing = NOT_TOLD
    points: int = 0
    money: int = 0
    vouchers: Sequence[Voucher] = ()


@dataclass(slots=True, frozen=True)
class Reduction:
    """What a member price takes off a line."""

    price: Price
    off: int


@dataclass(slots=True)
class QuotedLine:
    """A line with all that was taken off it; `left` is what remains to be paid."""

    line: QuoteLine
    left: int
    prices: list[Reduction] = field(default_factory=list)
    off_by_vouchers: int = 0


@dataclass(slots=True, frozen=True)
class QuotedPrice:
    """A member price that is about something in the basket: what it takes off it, and what keeps the member from it."""

    price: Price
    off: int
    why_not: list[str]


@dataclass(slots=True, frozen=True)
class QuotedVoucher:
    """A voucher that the member has: what it takes off, or would; applied where `why_not` is empty."""

    voucher: Voucher
    off: int
    why_not: list[str]


@dataclass(slots=True, frozen=True)
class Payable:
    """The most that can be paid so: `most` points or minor units, `worth` minor units. `why_not`: a code, or ""."""

    available: int
    most: int
    worth: int
    why_not: str = ""


@dataclass(slots=True, frozen=True)
class Quote:
    """The answer. Anybody would pay `before`, the member pays `total`; points and money can be a part of that."""

    before: int
    total: int
    tier: str
    stacking: Stacking
    lines: list[QuotedLine]
    prices: list[QuotedPrice]
    vouchers: list[QuotedVoucher]
    points: Payable
    money: Payable


def quote(program: Program | None, customer: Customer | None, basket: Basket, at: datetime) -> Quote:
    """What the basket costs at `at`.

    Raises:
        Refusal: line_repeated, unknown_program, unknown_member, in this order.
    """
    if len({line.id for line in basket.lines}) < len(basket.lines):
        raise Refusal("line_repeated", "two lines of the basket have the same id")
    if program is None:
        raise Refusal("unknown_program", "no such program is active; programs are activated at the ledger")
    if customer is None:
        raise Refusal("unknown_member", "the ledger has told of no such member in the program")
    lines = [QuotedLine(line, line.amount) for line in basket.lines]
    prices = _take_prices(program, customer, basket, at, lines)
    vouchers = _take_vouchers(program, customer, basket.store, at, lines)
    total = sum(line.left for line in lines)
    return Quote(
        before=sum(line.amount for line in basket.lines),
        total=total,
        tier=customer.standing.tier or program.lowest_tier,
        stacking=program.pricing.stacking,
        lines=lines,
        prices=prices,
        vouchers=vouchers,
        points=_points(program, customer.points, total),
        money=_money(customer.money, total),
    )


def _take_prices(
    program: Program, customer: Customer, basket: Basket, at: datetime, lines: list[QuotedLine]
) -> list[QuotedPrice]:
    """Take member prices off the lines; returns those of the program that are about a line, in its order."""
    pricing, zone = program.pricing, program.zone_of(basket.store)
    found: list[tuple[QuotedPrice, list[QuotedLine]]] = []
    for price in pricing.prices:
        about = [q for q in lines if price.is_for(q.line.sku, q.line.category, _is_new(program, q.line))]
        if about:
            would = sum(price.off(q.line.amount, q.line.quantity) for q in about)
            why_not = price.kept_from(at, basket.store, zone, customer.standing, program.lowest_tier)
            found.append(
                (QuotedPrice(price, would, why_not or ([] if would else ["price_is_no_lower"])), about)
            )
    can_be_had = [(one.price, about) for one, about in found if not one.why_not]
    if pricing.stacking.prices == "best_of":
        _best_prices(can_be_had)
    else:
        for price, about in can_be_had:
            for q in about:
                _reduce(q, price, price.off(q.left, q.line.quantity))
    taken: Counter[str] = Counter()
    for q in lines:
        for reduction in q.prices:
            taken[reduction.price.id] += reduction.off
    return [
        replace(one, off=taken.get(one.price.id, one.off), why_not=[] if one.price.id in taken else [OUTDONE])
        if not one.why_not
        else one
        for one, _ in found
    ]


def _is_new(program: Program, line: QuoteLine) -> bool:
    new = program.pricing.new_products
    return line.new or line.sku in new.skus or line.category in new.categories


def _best_prices(open_prices: list[tuple[Price, list[QuotedLine]]]) -> None:
    """Of each line the price that takes most off, the first of equals."""
    best: dict[int, tuple[int, Price, QuotedLine]] = {}
    for price, about in open_prices:
        for q in about:
            off = price.off(q.line.amount, q.line.quantity)
            if off > best.get(q.line.id, (0,))[0]:
                best[q.line.id] = off, price, q
    for off, price, q in best.values():
        _reduce(q, price, off)


def _reduce(line: QuotedLine, price: Price, off: int) -> None:
    if off:
        line.left -= off
        line.prices.append(Reduction(price, off))


def _take_vouchers(
    program: Program, customer: Customer, store: str, at: datetime, lines: list[QuotedLine]
) -> list[QuotedVoucher]:
    """Take vouchers off what prices left; returns all that can be used, in the order in which they are taken."""
    order = {id_: place for place, id_ in enumerate(program.vouchers)}
    usable = sorted(
        (v for v in customer.vouchers if v.state in USABLE and (v.expires_at is None or at < v.expires_at)),
        key=lambda v: (
            order.get(v.terms.id, len(order)),
            v.expires_at is None,
            v.expires_at and v.expires_at.timestamp(),
            v.id,
        ),
    )
    if program.pricing.stacking.vouchers == "in_order":
        quoted = []
        for voucher in usable:
            one = _look(voucher, store, lines)
            if not one.why_not:
                _share(voucher.terms, one.off, lines)
            quoted.append(one)
        return quoted
    looked = [_look(voucher, store, lines) for voucher in usable]
    # The first of equals: by the document, then what expires first.
    best = max((one for one in looked if not one.why_not), key=lambda one: one.off, default=None)
    if best is not None:
        _share(best.voucher.terms, best.off, lines)
    return [one if one.why_not or one is best else replace(one, why_not=[OUTDONE]) for one in looked]


def _look(voucher: Voucher, store: str, lines: Sequence[QuotedLine]) -> QuotedVoucher:
    """What a voucher takes off what is left of the lines: exactly what its use for these lines would."""
    try:
        off = discount(voucher.terms, store, [_as_left(q) for q in lines])
    except Refusal as refusal:
        return QuotedVoucher(voucher, 0, [refusal.code])
    return QuotedVoucher(voucher, off, [] if off else ["voucher_takes_nothing"])


def _share(terms: Terms, off: int, lines: Sequence[QuotedLine]) -> None:
    """Share what a voucher takes off out to its eligible lines by what they cost, by running totals: they add up."""
    eligible = [q for q in lines if is_eligible(terms, _as_left(q))]
    whole = sum(q.left for q in eligible)
    cost = shared = 0
    for q in eligible:
        cost += q.left
        share = off * cost // whole - shared
        shared += share
        q.left -= share
        q.off_by_vouchers += share


def _as_left(quoted: QuotedLine) -> Line:
    line = quoted.line
    return Line(line.sku, line.category, line.quantity, quoted.left)


def _points(program: Program, available: int, total: int) -> Payable:
    terms = program.pricing.points
    if terms is None:
        return Payable(available, 0, 0, "points_not_taken")
    most, worth, why_not = terms.most(available, total)
    return Payable(available, most, worth, why_not)


def _money(available: int, total: int) -> Payable:
    most = min(available, total)
    why_not = "" if most else "insufficient_value" if total else "nothing_to_pay"
    return Payable(available, most, most, why_not)
