"""The precedence of refusals of the commands about members and about points given or taken by hand."""

from __future__ import annotations

from services.ledger.domain.book import ACTIVE, SUSPENDED
from services.ledger.domain.checks import POINTS_MAX
from services.ledger.domain.commands import Command
from tests.unit import ledger_given as g
from tests.unit import members_given as m
from tests.unit.ledger_given import NOON, Given
from tests.unit.ledger_mistakes import CLOSED_MEMBER, NO_MEMBER, NO_PROGRAM, Changes, Mistake, Table

CARD = ("card", b"anns")


def _m(code: str, **changes: object) -> Mistake:
    return Mistake(code, changes)


def _given(changes: Changes) -> Given:
    """Ann has 100 points and a card; carol has asked to take 100 more than the limit lets her."""
    given = Given(rules=m.adjusting(adjustments={**m.ADJUSTMENTS, "limit": 50}))
    given.when(g.clock(NOON))
    given.when(g.enrol("ann", CARD))
    given.when(g.purchase(amount=10_000))
    given.when(m.adjust(-100))
    return given


def _finish(given: Given, changes: Changes) -> Given:
    if "over" in changes:
        given.when(changes["over"])
    given.member().status = changes.get("status", ACTIVE)
    return given


def _who(changes: Changes) -> dict[str, str]:
    return {"member": changes.get("member", "ann"), "program": changes.get("program", "grocer")}


def _adjust(changes: Changes) -> tuple[Given, Command]:
    reason = changes.get("reason", "goodwill")
    return _finish(_given(changes), changes), m.adjust(
        changes.get("points", -50), "a2", reason=reason, **_who(changes)
    )


def _approve(changes: Changes) -> tuple[Given, Command]:
    given = _finish(_given(changes), changes)
    return given, m.approve(changes.get("adjustment", "a1"), by=changes.get("by", "dave"), **_who(changes))


def _decline(changes: Changes) -> tuple[Given, Command]:
    given = _finish(_given(changes), changes)
    return given, m.decline(changes.get("adjustment", "a1"), **_who(changes))


def _unlink(changes: Changes) -> tuple[Given, Command]:
    given = _given(changes)
    given.when(g.enrol("bob", ("card", b"bobs")))
    return given, m.unlink(("card", changes.get("card", b"anns")), **_who(changes))


def _suspend(changes: Changes) -> tuple[Given, Command]:
    return _finish(_given(changes), changes), m.suspend(**_who(changes))


def _reactivate(changes: Changes) -> tuple[Given, Command]:
    return _finish(_given(changes), {"status": SUSPENDED, **changes}), m.reactivate(**_who(changes))


def _close(changes: Changes) -> tuple[Given, Command]:
    given = _given(changes)
    if "money" in changes:
        given.activate(m.adjusting(version="v9", adjustments={**m.ADJUSTMENTS, "limit": 50}, stored_value={}))
        given.when(g.top_up("t1"))
    return _finish(given, changes), m.close(**_who(changes))


NOT_WAITING = (
    _m("adjustment_unknown", adjustment="a9"),
    _m("adjustment_already_applied", over=m.approve()),
    _m("adjustment_already_declined", over=m.decline()),
)

MONEY_LEFT = _m("stored_value_left", money=True)

MEMBER_TABLES = (
    Table(
        "adjustment",
        _adjust,
        (
            NO_PROGRAM,
            _m("amount_out_of_range", points=0),
            _m("amount_out_of_range", points=POINTS_MAX + 1),
            _m("amount_out_of_range", points=-POINTS_MAX - 1),
            _m("reason_unknown", reason="because"),
            *NO_MEMBER,
            CLOSED_MEMBER,
            _m("insufficient_points", points=-101),
            _m("insufficient_points", over=g.hold(51)),
        ),
    ),
    Table(
        "adjustment_approval",
        _approve,
        (
            NO_PROGRAM,
            *NO_MEMBER,
            CLOSED_MEMBER,
            *NOT_WAITING,
            _m("second_person_needed", by="carol"),
            _m("insufficient_points", over=g.hold(1)),
        ),
    ),
    Table("adjustment_decline", _decline, (NO_PROGRAM, *NO_MEMBER, CLOSED_MEMBER, *NOT_WAITING)),
    Table(
        "unlinking",
        _unlink,
        (
            NO_PROGRAM,
            *NO_MEMBER,
            _m("identifier_unknown", card=b"bobs"),
            _m("identifier_unknown", card=b"nobodys"),
        ),
    ),
    Table(
        "suspension",
        _suspend,
        (NO_PROGRAM, *NO_MEMBER, CLOSED_MEMBER, _m("member_already_suspended", status=SUSPENDED)),
    ),
    Table(
        "reactivation",
        _reactivate,
        (NO_PROGRAM, *NO_MEMBER, CLOSED_MEMBER, _m("member_not_suspended", status=ACTIVE)),
    ),
    Table(
        "closing",
        _close,
        (NO_PROGRAM, *NO_MEMBER, CLOSED_MEMBER, _m("holds_open", over=g.hold(1)), MONEY_LEFT),
    ),
)
