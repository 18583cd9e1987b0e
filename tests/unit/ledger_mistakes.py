"""The precedence of refusals: per command, every mistake in the order in which a caller is told of them.

A mistake is a set of changes to a request that is right, and to the book that it meets. Mistakes that change the
same things can't be made at once; all others can, and then the earlier one is told.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from services.ledger.domain.book import ACTIVE, CLOSED, SUSPENDED
from services.ledger.domain.checks import (
    AMOUNT_MAX,
    BALANCE_MAX,
    FUTURE_TOLERANCE,
    LINES_MAX,
    POINTS_MAX,
    QUANTITY_MAX,
)
from services.ledger.domain.commands import Command, Money
from services.ledger.domain.members import IDENTIFIERS_MAX
from tests.unit import ledger_given as g
from tests.unit.ledger_given import DAY, NOON, Given

Changes = dict[str, Any]
FUTURE = NOON + FUTURE_TOLERANCE + timedelta(microseconds=1)
EARLY = datetime(1970, 1, 1, tzinfo=UTC) - timedelta(microseconds=1)


@dataclass(frozen=True)
class Mistake:
    """`changes` that make a right request wrong, and the `code` that tells of it."""

    code: str
    changes: Changes


@dataclass(frozen=True)
class Table:
    """One command's mistakes, the first told first. `build` makes the book and the request from the changes."""

    command: str
    build: Callable[[Changes], tuple[Given, Command]]
    mistakes: tuple[Mistake, ...]

    def codes(self) -> list[str]:
        """Every code once, in order."""
        return list(dict.fromkeys(mistake.code for mistake in self.mistakes))

    def together(self) -> Iterator[tuple[str, Changes]]:
        """Every pair of mistakes that can be made at once, with the code that must be told."""
        for place, first in enumerate(self.mistakes):
            for second in self.mistakes[place + 1 :]:
                if first.code != second.code and not first.changes.keys() & second.changes.keys():
                    yield first.code, {**first.changes, **second.changes}


def _m(code: str, **changes: Any) -> Mistake:
    return Mistake(code, changes)


def _given(changes: Changes, **rules: Any) -> Given:
    """Ann has 100 points from p1 (two units on line 1, one on line 2)."""
    given = Given(rules=g.program(**rules))
    given.when(g.clock(NOON))
    lines = [g.line(1, 8_000, 2), g.line(2, 2_000)]
    given.when(g.purchase(lines=lines))
    given.member().status = changes.get("status", ACTIVE)
    return given


def _paying(changes: Changes) -> Given:
    """Ann has 10,000 cents too; the program may keep money no longer."""
    given = _given({}, stored_value={})
    given.when(g.top_up(amount=10_000))
    if "off" in changes:
        given.activate(g.program("v2"))
    given.member().status = changes.get("status", ACTIVE)
    return given


def _money(changes: Changes, default: int | None = None) -> Money | None:
    """The money of a request; a currency needs some."""
    if not {"money", "currency"} & changes.keys() and default is None:
        return None
    return Money(changes.get("currency", "USD"), changes.get("money", default or 1))


def _purchase(changes: Changes) -> tuple[Given, Command]:
    rules: Changes = {}
    if changes.get("required"):
        rules["enrolment"] = "required"
    if "rate" in changes:
        rules["earning"] = {"points_per_unit": changes["rate"]}
    given = Given(rules=g.program(**rules))
    given.when(g.clock(NOON))
    if "status" in changes:
        given.when(g.enrol("ann"))
        given.member().status = changes["status"]
    if "rich" in changes:
        given.member().posted = BALANCE_MAX
    quantity, amount = changes.get("quantity", 1), changes.get("amount", AMOUNT_MAX)
    # The last line carries the mistakes, so that a repeated id and a wrong number can stand together.
    lines = [g.line(n, 100) for n in range(changes.get("lines", 2))]
    if lines:
        lines[-1] = g.line(0 if "repeat" in changes else len(lines) - 1, amount, quantity)
    return given, g.purchase(
        lines=lines,
        at=changes.get("at", NOON),
        currency=changes.get("currency", "USD"),
        member=changes.get("member", "ann"),
        program=changes.get("program", "grocer"),
    )


def _return(changes: Changes) -> tuple[Given, Command]:
    units = [(n, 1) for n in changes.get("unknown_lines", [])]
    units += [(1, changes.get("quantity", 2))]
    units = units * changes.get("times", 1)
    return _given(changes), g.return_(
        of=changes.get("of", "p1"),
        units=units[: changes.get("lines", len(units))],
        at=changes.get("at", NOON),
        member=changes.get("member", "ann"),
        program=changes.get("program", "grocer"),
    )


def _enrol(changes: Changes) -> tuple[Given, Command]:
    given = Given()
    given.when(g.clock(NOON))
    if "taken" in changes:
        given.when(g.enrol("bob", ("card", b"bobs")))
    if "known" in changes:
        given.when(g.enrol("ann", ("card", b"0")))
    if "status" in changes:
        if "known" not in changes:
            given.when(g.enrol("ann"))
        given.member().status = changes["status"]
    identifiers = [("card", b"bobs" if "taken" in changes else b"0")]
    identifiers += [("card", b"%d" % n) for n in range(1, changes.get("identifiers", 1))]
    return given, g.enrol(
        changes.get("member", "ann"),
        *identifiers,
        at=changes.get("at", NOON),
        program=changes.get("program", "grocer"),
    )


def _place(changes: Changes) -> tuple[Given, Command]:
    return _paying(changes), g.hold(
        changes.get("amount", 100),
        ttl=changes.get("ttl"),
        money=_money(changes, 10_000),
        member=changes.get("member", "ann"),
        program=changes.get("program", "grocer"),
    )


def _held(changes: Changes) -> Given:
    given = _paying({})
    if "part" in changes:
        given.when(g.hold(80, ttl=60, money=g.usd(700)))
        given.when(g.capture(amount=20, final=False, money=g.usd(200)))
    else:
        given.when(g.hold(60, ttl=60, money=g.usd(500)))
    if "over" in changes:
        given.when(changes["over"])
    given.member().status = changes.get("status", ACTIVE)
    if "later" in changes:
        # The instant at which the hold times out; the clock of the program has not been moved there yet.
        given.book.programs[g.CHAIN, "grocer"].clock = NOON + timedelta(seconds=60)
    return given


def _capture(changes: Changes) -> tuple[Given, Command]:
    return _held(changes), g.capture(
        changes.get("hold", "h1"),
        changes.get("amount"),
        final="more" not in changes,
        money=_money(changes),
        member=changes.get("member", "ann"),
        program=changes.get("program", "grocer"),
    )


def _release(changes: Changes) -> tuple[Given, Command]:
    return _held(changes), g.release(
        changes.get("hold", "h1"),
        member=changes.get("member", "ann"),
        program=changes.get("program", "grocer"),
    )


def _refund(changes: Changes) -> tuple[Given, Command]:
    given = _paying({})
    given.when(g.hold(60, money=g.usd(500)))
    given.when(g.capture(amount=50, final=False, money=g.usd(400)))
    given.when(g.refund(amount=20, id_="f0", money=g.usd(100)))
    if "back" in changes:
        given.when(g.refund(id_="f00"))
    given.member().status = changes.get("status", ACTIVE)
    return given, g.refund(
        changes.get("order", "order-h1"),
        changes.get("amount"),
        money=_money(changes),
        member=changes.get("member", "ann"),
        program=changes.get("program", "grocer"),
    )


def _tier(changes: Changes) -> tuple[Given, Command]:
    return _given(changes), g.tier(
        "gold", NOON, member=changes.get("member", "ann"), program=changes.get("program", "grocer")
    )


def _clock(changes: Changes) -> tuple[Given, Command]:
    return _given(changes), g.clock(changes.get("to", NOON + DAY), program=changes.get("program", "grocer"))


NO_PROGRAM = _m("unknown_program", program="nobodys")
TIMES = (_m("occurred_in_future", at=FUTURE), _m("occurred_too_early", at=EARLY))
NO_MEMBER = (_m("unknown_member", member="zoe"), _m("unknown_member", member="card:ff"))
CLOSED_MEMBER = _m("member_closed", status=CLOSED)
SUSPENDED_MEMBER = _m("member_suspended", status=SUSPENDED)
NO_HOLD = (
    _m("hold_unknown", hold="h9"),
    _m("hold_already_captured", over=g.capture()),
    _m("hold_already_released", over=g.release()),
    _m("hold_expired", over=g.clock(NOON + timedelta(seconds=60))),
    _m("hold_expired", later=True),
)
NOT_IN_RANGE = (
    _m("currency_mismatch", currency="EUR"),
    _m("amount_out_of_range", amount=-1),
    _m("amount_out_of_range", money=-1),
    _m("amount_out_of_range", amount=0, money=0),
)

TABLES = (
    Table(
        "purchase",
        _purchase,
        (
            NO_PROGRAM,
            *TIMES,
            _m("currency_mismatch", currency="EUR"),
            _m("lines_out_of_range", lines=0),
            _m("lines_out_of_range", lines=LINES_MAX + 1),
            _m("quantity_out_of_range", quantity=0),
            _m("quantity_out_of_range", quantity=-1),
            _m("quantity_out_of_range", quantity=QUANTITY_MAX + 1),
            _m("amount_out_of_range", amount=-1),
            _m("amount_out_of_range", amount=AMOUNT_MAX + 1),
            _m("line_repeated", repeat=True),
            _m("unknown_member", required=True),
            _m("unknown_member", member="card:ff"),
            _m("member_closed", required=False, status=CLOSED),
            _m("points_out_of_range", rate=1_000_000),
            _m("balance_out_of_range", rich=True, required=False, status=ACTIVE),
        ),
    ),
    Table(
        "return",
        _return,
        (
            NO_PROGRAM,
            *TIMES,
            _m("lines_out_of_range", lines=0),
            _m("lines_out_of_range", times=LINES_MAX + 1),
            *NO_MEMBER,
            CLOSED_MEMBER,
            _m("return_without_purchase", of=""),
            _m("purchase_unknown", of="p9"),
            _m("line_unknown", unknown_lines=[9]),
            _m("quantity_out_of_range", quantity=0),
            _m("quantity_out_of_range", quantity=QUANTITY_MAX + 1),
            _m("quantity_exceeds_purchase", quantity=3),
        ),
    ),
    Table(
        "enrolment",
        _enrol,
        (
            NO_PROGRAM,
            *TIMES,
            _m("member_id_invalid", member="card:ff"),
            _m("identifiers_out_of_range", identifiers=IDENTIFIERS_MAX + 1),
            CLOSED_MEMBER,
            _m("identifier_taken", taken=True),
            _m("already_enrolled", known=True),
        ),
    ),
    Table(
        "hold",
        _place,
        (
            NO_PROGRAM,
            _m("stored_value_off", off=True),
            _m("currency_mismatch", currency="EUR"),
            _m("amount_out_of_range", amount=-1),
            _m("amount_out_of_range", amount=POINTS_MAX + 1),
            _m("amount_out_of_range", money=-1),
            _m("amount_out_of_range", money=AMOUNT_MAX + 1),
            _m("amount_out_of_range", amount=0, money=0),
            _m("ttl_out_of_range", ttl=0),
            _m("ttl_out_of_range", ttl=86_401),
            *NO_MEMBER,
            CLOSED_MEMBER,
            SUSPENDED_MEMBER,
            _m("insufficient_points", amount=101),
            _m("insufficient_value", money=10_001),
        ),
    ),
    Table(
        "capture",
        _capture,
        (
            NO_PROGRAM,
            *NO_MEMBER,
            CLOSED_MEMBER,
            SUSPENDED_MEMBER,
            *NO_HOLD,
            *NOT_IN_RANGE,
            _m("amount_exceeds_hold", amount=61),
            _m("value_exceeds_hold", money=501),
        ),
    ),
    Table(
        "capture",
        lambda changes: _capture({"part": True, "more": True, **changes}),
        (
            NO_PROGRAM,
            *NO_MEMBER,
            CLOSED_MEMBER,
            SUSPENDED_MEMBER,
            *NO_HOLD,
            *NOT_IN_RANGE,
            _m("amount_exceeds_hold", amount=61),
            _m("value_exceeds_hold", money=501),
        ),
    ),
    Table(
        "refund",
        _refund,
        (
            NO_PROGRAM,
            *NO_MEMBER,
            CLOSED_MEMBER,
            _m("order_unknown", order="o9"),
            _m("order_already_refunded", back=True),
            *NOT_IN_RANGE,
            _m("amount_exceeds_spend", amount=31),
            _m("value_exceeds_spend", money=301),
        ),
    ),
    Table(
        "release",
        lambda changes: _release({"part": True, **changes}),
        (NO_PROGRAM, *NO_MEMBER, CLOSED_MEMBER, *NO_HOLD),
    ),
    Table("release", _release, (NO_PROGRAM, *NO_MEMBER, CLOSED_MEMBER, *NO_HOLD)),
    Table("tier", _tier, (NO_PROGRAM, *NO_MEMBER, CLOSED_MEMBER)),
    Table(
        "clock", _clock, (NO_PROGRAM, _m("clock_out_of_range", to=datetime(9000, 1, 1, 0, 0, 1, tzinfo=UTC)))
    ),
)
