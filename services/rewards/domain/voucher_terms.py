"""What a voucher is good for: an entry of `rewards.vouchers`, and what it takes off a basket."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from services.common.errors import Refusal
from services.common.program_section import Section

VOUCHER_KINDS = ("percent", "amount", "product", "bogo")
VOUCHERS_MAX = 1_000
PACK_MAX = 100
NAME_MAX = 200
AMOUNT_MAX = 10**15
DAYS_MAX = 36_600
CLAIM_DAYS_DEFAULT = 7


@dataclass(slots=True, frozen=True)
class Terms:
    """One entry of the program, as a voucher keeps it from the moment it is issued. Amounts are minor units.

    `value` is the percentage of `percent`, what `amount` takes off, and 0 for `product` and `bogo`. Of `valid_days` and
    `until` one is set, or neither: it never expires.
    """

    id: str
    name: str
    kind: str
    value: int = 0
    minimum_spend: int = 0
    categories: tuple[str, ...] = ()
    skus: tuple[str, ...] = ()
    stores: tuple[str, ...] = ()
    valid_days: int = 0
    until: datetime | None = None
    gift: bool = False
    claim_days: int = CLAIM_DAYS_DEFAULT
    """How long whom it was given has to claim it."""

    def expires_at(self, issued_at: datetime) -> datetime | None:
        """The moment from which a voucher issued at `issued_at` is good no more."""
        return issued_at + timedelta(days=self.valid_days) if self.valid_days else self.until


@dataclass(slots=True, frozen=True)
class Pack:
    """So many vouchers of one kind."""

    terms: Terms
    count: int


@dataclass(slots=True, frozen=True)
class Line:
    """A line of a basket; `amount` is minor units for all its units."""

    sku: str
    category: str
    quantity: int
    amount: int


def discount(terms: Terms, store: str, lines: Sequence[Line]) -> int:
    """What the voucher takes off the basket, in minor units: never more than its eligible lines cost.

    `percent` takes its share of them, floored; `amount` its value; `product` the dearest eligible unit; `bogo` the
    second dearest, for the dearest is paid. A unit of a line costs its floored share.

    Raises:
        Refusal: in this order, `voucher_not_for_store`, `voucher_minimum_spend`, `voucher_nothing_eligible`.
    """
    if terms.stores and store not in terms.stores:
        raise Refusal("voucher_not_for_store", f"it can be used in: {', '.join(terms.stores)}")
    spend = sum(line.amount for line in lines)
    if spend < terms.minimum_spend:
        raise Refusal(
            "voucher_minimum_spend", f"the basket is {spend}, the voucher asks for {terms.minimum_spend}"
        )
    eligible = [line for line in lines if is_eligible(terms, line)]
    needed = 2 if terms.kind == "bogo" else 1
    if sum(line.quantity for line in eligible) < needed:
        raise Refusal("voucher_nothing_eligible", f"the basket has not {needed} of what the voucher is for")
    total = sum(line.amount for line in eligible)
    match terms.kind:
        case "percent":
            return total * terms.value // 100
        case "amount":
            return min(total, terms.value)
        case _:
            return _unit(eligible, needed)


def is_eligible(terms: Terms, line: Line) -> bool:
    """Of an article or a category that the voucher names; of any, when it names none."""
    if not terms.skus and not terms.categories:
        return True
    return line.sku in terms.skus or line.category in terms.categories


def _unit(lines: Sequence[Line], place: int) -> int:
    """The price of the `place`-th dearest unit."""
    for line in sorted(lines, key=lambda line: line.amount // line.quantity, reverse=True):
        place -= line.quantity
        if place <= 0:
            return line.amount // line.quantity
    return 0


def read_vouchers(rewards: Section) -> dict[str, Terms]:
    """`rewards.vouchers` by id. Raises ProgramError."""
    vouchers: dict[str, Terms] = {}
    for section in rewards.sections("vouchers", VOUCHERS_MAX):
        terms = _terms(section)
        if terms.id in vouchers:
            raise section.wrong("id", f"{terms.id!r} is there twice")
        vouchers[terms.id] = terms
    return vouchers


def _terms(section: Section) -> Terms:
    section.only(
        "id", "name", "kind", "value", "conditions", "valid_days", "until", "gift", "claim_days"
    )  # fmt: skip
    voucher_id = section.text("id")
    if len(voucher_id) > 64 or not all(c.isascii() and (c.isalnum() or c in "_.-") for c in voucher_id):
        raise section.wrong("id", "must be 1 to 64 of letters, digits, _ . and -")
    name = section.text("name", voucher_id)
    if len(name) > NAME_MAX or not name.isprintable():
        raise section.wrong("name", f"must be text of 1 to {NAME_MAX} printable characters")
    kind = section.choice("kind", VOUCHER_KINDS)
    if kind in ("percent", "amount"):
        value = section.whole("value", 1, 100 if kind == "percent" else AMOUNT_MAX)
    elif "value" in section.values:
        raise section.wrong("value", f"a {kind} voucher has none: it takes off what the article costs")
    else:
        value = 0
    conditions = section.section("conditions", optional=True)
    conditions.only("minimum_spend", "categories", "skus", "stores")
    if "valid_days" in section.values and "until" in section.values:
        raise section.wrong("until", "say `valid_days` or `until`, not both")
    gift = section.values.get("gift", False)
    if not isinstance(gift, bool):
        raise section.wrong("gift", "must be true or false")
    if "claim_days" in section.values and not gift:
        raise section.wrong("claim_days", "is for vouchers with `gift: true`")
    return Terms(
        id=voucher_id,
        name=name,
        kind=kind,
        value=value,
        minimum_spend=conditions.whole("minimum_spend", 0, AMOUNT_MAX, 0),
        categories=tuple(conditions.texts("categories")),
        skus=tuple(conditions.texts("skus")),
        stores=tuple(conditions.texts("stores")),
        valid_days=section.whole("valid_days", 1, DAYS_MAX) if "valid_days" in section.values else 0,
        until=_moment(section) if "until" in section.values else None,
        gift=gift,
        claim_days=section.whole("claim_days", 1, DAYS_MAX, CLAIM_DAYS_DEFAULT),
    )


def _moment(section: Section) -> datetime:
    """A time with its zone."""
    text = section.text("until")
    try:
        moment = datetime.fromisoformat(text)
    except ValueError as error:
        raise section.wrong("until", f"{text!r} is no time such as 2027-01-01T00:00:00+01:00") from error
    if moment.tzinfo is None:
        raise section.wrong("until", f"{text!r} has no zone: write {text}Z")
    return moment.astimezone(UTC)


def read_pack(section: Section, vouchers: Mapping[str, Terms]) -> Pack:
    """`voucher` and `count` (one by default). Raises ProgramError."""
    name = section.text("voucher")
    if name not in vouchers:
        raise section.wrong("voucher", f"{name!r} is not among `rewards.vouchers`")
    return Pack(vouchers[name], section.whole("count", 1, PACK_MAX, 1))
