"""The precedence of refusals of interactions and referrals (see ledger_mistakes.py)."""

from __future__ import annotations

from typing import Any

from services.ledger.domain.book import CLOSED
from services.ledger.domain.commands import Command
from tests.unit import ledger_given as g
from tests.unit import social_given as s
from tests.unit.ledger_given import DAY, NOON, Given
from tests.unit.ledger_mistakes import NO_PROGRAM, TIMES, Changes, Mistake, Table


def _m(code: str, **changes: Any) -> Mistake:
    return Mistake(code, changes)


def _rules(changes: Changes, **ledger: Any) -> Given:
    rules: Changes = {"enrolment": "required"} if changes.get("required") else {}
    given = Given(rules=s.program(**rules, **ledger))
    given.when(g.clock(NOON))
    given.when(g.enrol("ann"))
    return given


def _closed(given: Given, changes: Changes) -> Given:
    if changes.get("closed"):
        if ("grocer", "bob") not in given.book.members:
            given.when(g.enrol("bob"))
        given.member("bob").status = CLOSED
    return given


def _interaction(changes: Changes) -> tuple[Given, Command]:
    return _closed(_rules(changes), changes), s.interaction(
        changes.get("kind", "review"),
        changes.get("content", "c1"),
        at=changes.get("at", NOON),
        member=changes.get("member", "bob"),
        program=changes.get("program", "grocer"),
        now=NOON,
    )


def _referral(changes: Changes) -> tuple[Given, Command]:
    given = _rules(changes)
    if "referred" in changes:
        given.when(g.enrol("eve"))
        given.when(s.referral("eve", id_="f0"))
    if "loop" in changes:
        if "referred" not in changes:
            given.when(g.enrol("bob"))
        given.when(s.referral("bob", "ann", id_="f9"))
    if "bought" in changes:
        given.when(g.purchase(member="bob", at=NOON - DAY))
    if "none" in changes:
        given.activate(g.program("v2"))
    _closed(given, changes)
    if "referrer_closed" in changes:
        given.member("ann").status = CLOSED
    referee = changes.get("referee", "bob")
    return given, s.referral(
        referee if "self" in changes else changes.get("referrer", "ann"),
        referee,
        step=changes.get("step", "registered"),
        at=changes.get("at", NOON),
        program=changes.get("program", "grocer"),
    )


def _task(changes: Changes) -> tuple[Given, Command]:
    rules = {**s.REFERRALS, "referee": {"points": 200, "task": "bind_phone"}}
    given = _rules(changes, referrals=rules)
    state = changes.get("state", "referred")
    given.when(g.enrol("bob") if state == "alone" else s.referral())
    if state == "done":
        given.when(s.task())
    return _closed(given, changes), s.task(
        changes.get("task", "bind_phone"),
        changes.get("referee", "bob"),
        at=changes.get("at", NOON),
        program=changes.get("program", "grocer"),
    )


def _reward(changes: Changes) -> tuple[Given, Command]:
    given = _rules(changes)
    given.when(s.referral())
    given.when(g.purchase(member="bob"))
    return given, s.reward(program=changes.get("program", "grocer"))


TABLES = (
    Table(
        "interaction",
        _interaction,
        (
            NO_PROGRAM,
            *TIMES,
            _m("kind_unknown", kind="dance"),
            _m("content_missing", content=""),
            _m("unknown_member", required=True),
            _m("unknown_member", member="card:ff"),
            _m("member_closed", required=False, closed=True),
        ),
    ),
    Table(
        "referral",
        _referral,
        (
            NO_PROGRAM,
            _m("referrals_not_offered", none=True),
            *TIMES,
            _m("step_unknown", step="paid"),
            _m("self_referral", self=True),
            _m("unknown_member", referee="card:ff"),
            _m("member_closed", closed=True),
            _m("referrer_unknown", referrer_closed=True),
            _m("referrer_unknown", referrer="zoe"),
            _m("referrer_unknown", referrer="card:fe"),
            _m("already_referred", referred=True),
            _m("referee_not_new", bought=True),
            _m("referral_loop", loop=True),
        ),
    ),
    Table(
        "referral_task",
        _task,
        (
            NO_PROGRAM,
            *TIMES,
            _m("task_unknown", task="dance"),
            _m("unknown_member", referee="zoe"),
            _m("unknown_member", referee="card:ff"),
            _m("member_closed", closed=True),
            _m("referral_unknown", state="alone"),
            _m("task_repeated", state="done"),
        ),
    ),
    Table("referral_reward", _reward, (NO_PROGRAM,)),
)
