"""The precedence of what differs, where an id is sent again with other content."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from services.common.errors import Refusal
from services.ledger.domain.commands import Command, Money
from services.ledger.domain.events import Decided, Event
from services.ledger.domain.retries import difference
from tests.unit import ledger_given as g
from tests.unit.ledger_given import Given
from tests.unit.ledger_mistakes import Changes, Mistake, Table


class Again(Given):
    """A book that has met the ids of all commands that come: they are compared with the one that it was given first."""

    def __init__(self, first: Command, *before: Command) -> None:
        super().__init__(*before, rules=g.program(stored_value={}))
        self.first: Decided = self.decided(first)[0]

    def when(self, command: Command) -> list[Event]:
        if not hasattr(self, "first"):
            return super().when(command)
        different = difference(self.book, self.first, command)
        if different is not None:
            raise Refusal(*different)
        return [self.first.event]


def _sent(first: Command, *before: Command) -> Callable[[Changes], tuple[Given, Command]]:
    """The first request, and the same with changes."""
    return lambda changes: (Again(first, *before), replace(first, **changes))


def _m(part: str, **changes: object) -> Mistake:
    return Mistake(f"exists_with_different_{part}", changes)


BOUGHT = (g.purchase(amount=10_000), g.top_up(amount=10_000))
HELD = (*BOUGHT, g.hold(60, money=g.usd(600)))
SPENT = (*HELD, g.capture())
MEMBER = _m("member", member="zoe")
HOLD = _m("hold", hold="h9")
MONEY = (_m("money", money=None), _m("money", money=g.usd(301)), _m("money", money=Money("EUR", 300)))

RETRIES = (
    Table(
        "hold again",
        _sent(g.hold(60, money=g.usd(300)), *BOUGHT),
        (MEMBER, _m("order", order="o9"), _m("amount", amount=61), *MONEY, _m("ttl", ttl_seconds=901)),
    ),
    Table(
        "hold again",
        _sent(g.hold(60, ttl=60), *BOUGHT),
        (
            MEMBER,
            _m("order", order="o9"),
            _m("amount", amount=61),
            _m("money", money=g.usd(1)),
            _m("ttl", ttl_seconds=None),
        ),
    ),
    Table(
        "capture again",
        _sent(g.capture(amount=45, money=g.usd(300)), *HELD),
        (MEMBER, HOLD, _m("amount", amount=46), _m("amount", amount=None), *MONEY, _m("final", final=False)),
    ),
    Table(
        "capture again",
        _sent(g.capture(amount=45, final=False, money=g.usd(300)), *HELD),
        (MEMBER, HOLD, _m("amount", amount=44), _m("amount", amount=None), *MONEY, _m("final", final=True)),
    ),
    Table("release again", _sent(g.release(), *HELD), (MEMBER, HOLD)),
    Table(
        "refund again",
        _sent(g.refund(amount=40, money=g.usd(300)), *SPENT),
        (MEMBER, _m("order", order="o9"), _m("amount", amount=41), _m("amount", amount=None), *MONEY),
    ),
)
