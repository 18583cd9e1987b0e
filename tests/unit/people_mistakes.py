"""The precedence of refusals of merges, profiles and erasures."""

from __future__ import annotations

from services.ledger.domain.book import ACTIVE, CLOSED, Adjustment, Settlement
from services.ledger.domain.commands import Command
from services.ledger.domain.merge import MERGE_ROWS_MAX
from tests.unit import ledger_given as g
from tests.unit.ledger_given import NOON, Given
from tests.unit.ledger_mistakes import CLOSED_MEMBER, NO_MEMBER, NO_PROGRAM, Changes, Mistake, Table


def _m(code: str, **changes: object) -> Mistake:
    return Mistake(code, changes)


def _given(changes: Changes) -> Given:
    """Ann has bought something."""
    given = Given(g.clock(NOON), g.purchase())
    given.member().status = changes.get("status", ACTIVE)
    return given


def _merge(changes: Changes) -> tuple[Given, Command]:
    given = _given(changes)
    given.when(g.enrol("bob"))
    if "merged" in changes:
        given.when(g.enrol("cid"))
        given.when(g.merge("cid", "bob"))
    if "large" in changes:
        given.member("bob").settlements = {f"p{n}": Settlement() for n in range(MERGE_ROWS_MAX + 1)}
    if "gone" in changes:
        given.member("bob").status = CLOSED
    if "waiting" in changes:
        given.member("bob").adjustments["a1"] = Adjustment(
            "a1", 99, "goodwill", "", "requested", "carol", NOON
        )
    command = g.merge(changes.get("member", "ann"), changes.get("absorbed", "bob"))
    command.program = changes.get("program", "grocer")
    return given, command


def _profile(changes: Changes) -> tuple[Given, Command]:
    return _given(changes), g.profile(changes.get("member", "ann"), changes.get("program", "grocer"))


def _erasure(changes: Changes) -> tuple[Given, Command]:
    return _given(changes), g.erase(changes.get("member", "ann"), changes.get("program", "grocer"))


PEOPLE_TABLES = (
    Table("profile", _profile, (NO_PROGRAM, *NO_MEMBER, CLOSED_MEMBER)),
    Table("erasure", _erasure, (NO_PROGRAM, *NO_MEMBER)),
    Table(
        "merge",
        _merge,
        (
            NO_PROGRAM,
            _m("merge_into_itself", member="ann", absorbed="ann"),
            *NO_MEMBER,
            CLOSED_MEMBER,
            _m("unknown_member", absorbed="zoe"),
            _m("unknown_member", absorbed="card:ff"),
            _m("already_merged", merged=True),
            _m("member_closed", gone=True),
            _m("merge_blocked", waiting=True),
            _m("merge_too_large", large=True),
        ),
    ),
)
