"""The precedence of refusals of top-ups, their reversals and gifts (see ledger_mistakes.py)."""

from __future__ import annotations

from typing import Any

from services.ledger.domain.book import ACTIVE
from services.ledger.domain.commands import Command
from tests.unit import ledger_given as g
from tests.unit.ledger_given import NOON, Given
from tests.unit.ledger_mistakes import (
    CLOSED_MEMBER,
    NO_MEMBER,
    NO_PROGRAM,
    SUSPENDED_MEMBER,
    TIMES,
    Changes,
    Mistake,
    Table,
)


def _m(code: str, **changes: Any) -> Mistake:
    return Mistake(code, changes)


def _stored(changes: Changes) -> Given:
    """Ann has loaded 10,000 and got 1,000 on top; bob is a member and has 500."""
    section = {"ladder": [{"load": 10_000, "bonus": 1_000}], "top_up": {"min": 100, "max": 20_000},
               "balance": {"max": changes.get("room", 100_000)}, "gift": {"max": 15_000}}  # fmt: skip
    given = Given(rules=g.program("v0", stored_value={**section, "balance": {"max": 100_000}}))
    given.when(g.clock(NOON))
    given.when(g.top_up("t1"))
    given.when(g.top_up("t2", 500, member="bob"))
    rules: Changes = {} if "off" in changes else {"stored_value": section}
    if "required" in changes:
        rules["enrolment"] = "required"
    given.activate(g.program("v1", **rules))
    given.member().status = changes.get("status", ACTIVE)
    return given


def _top_up(changes: Changes) -> tuple[Given, Command]:
    return _stored(changes), g.top_up(
        "t3",
        changes.get("amount", 10_000),
        at=changes.get("at", NOON),
        currency=changes.get("currency", "USD"),
        member=changes.get("member", "ann"),
        program=changes.get("program", "grocer"),
    )


def _top_up_reversal(changes: Changes) -> tuple[Given, Command]:
    given = _stored({**changes, "status": ACTIVE})
    if "again" in changes:
        given.when(g.reverse_top_up())
    if "held" in changes:
        for lot in given.member().money.values():
            lot.held = 1
    given.member().status = changes.get("status", ACTIVE)
    return given, g.reverse_top_up(
        changes.get("of", "t1"),
        at=changes.get("at", NOON),
        member=changes.get("member", "ann"),
        program=changes.get("program", "grocer"),
    )


def _gift(changes: Changes) -> tuple[Given, Command]:
    return _stored(changes), g.gift(
        changes.get("amount", 11_000),
        to=changes.get("member", "ann") if "self" in changes else changes.get("to", "bob"),
        currency=changes.get("currency", "USD"),
        member=changes.get("member", "ann"),
        program=changes.get("program", "grocer"),
    )


def _money_award(changes: Changes) -> tuple[Given, Command]:
    return _stored(changes), g.award_money(
        "a9",
        changes.get("amount", 10_000),
        currency=changes.get("currency", "USD"),
        member=changes.get("member", "ann"),
        program=changes.get("program", "grocer"),
    )


def _money_taken_back(changes: Changes) -> tuple[Given, Command]:
    given = _stored(changes)
    status, given.member().status = given.member().status, ACTIVE
    if "never" not in changes:
        given.activate(g.program("v2", stored_value={}))
        given.when(g.award_money("a1", 700))
    for lot in given.member().money.values():
        if "held" in changes and lot.purchase == "a1":
            lot.held = 1
    given.member().status = status
    return given, g.take_back_money(
        "a1",
        changes.get("amount", 700),
        currency=changes.get("currency", "USD"),
        member=changes.get("member", "ann"),
        program=changes.get("program", "grocer"),
    )


TABLES = (
    Table(
        "money_award",
        _money_award,
        (
            NO_PROGRAM,
            _m("stored_value_off", off=True),
            _m("currency_mismatch", currency="EUR"),
            _m("amount_out_of_range", amount=0),
            _m("amount_out_of_range", amount=10**12 + 1),
            *NO_MEMBER,
            CLOSED_MEMBER,
        ),
    ),
    Table(
        "money_taken_back",
        _money_taken_back,
        (
            NO_PROGRAM,
            _m("currency_mismatch", currency="EUR"),
            _m("amount_out_of_range", amount=0),
            *NO_MEMBER,
            CLOSED_MEMBER,
            _m("insufficient_value", held=True),
            _m("insufficient_value", never=True),
        ),
    ),
    Table(
        "top_up",
        _top_up,
        (
            NO_PROGRAM,
            *TIMES,
            _m("stored_value_off", off=True),
            _m("currency_mismatch", currency="EUR"),
            _m("amount_out_of_range", amount=99),
            _m("amount_out_of_range", amount=20_001),
            _m("unknown_member", member="zoe", required=True),
            _m("unknown_member", member="card:ff"),
            CLOSED_MEMBER,
            _m("balance_limit_exceeded", room=21_999),
        ),
    ),
    Table(
        "top_up_reversal",
        _top_up_reversal,
        (
            NO_PROGRAM,
            *TIMES,
            *NO_MEMBER,
            CLOSED_MEMBER,
            _m("top_up_unknown", of="t9"),
            _m("top_up_reversed", again=True),
            _m("top_up_held", held=True),
        ),
    ),
    Table(
        "gift",
        _gift,
        (
            NO_PROGRAM,
            _m("stored_value_off", off=True),
            _m("currency_mismatch", currency="EUR"),
            _m("amount_out_of_range", amount=0),
            _m("amount_out_of_range", amount=15_001),
            _m("gift_to_self", self=True),
            *NO_MEMBER,
            CLOSED_MEMBER,
            SUSPENDED_MEMBER,
            _m("receiver_unknown", to="yan"),
            _m("insufficient_value", amount=11_001),
            _m("balance_limit_exceeded", room=11_499),
        ),
    ),
)
