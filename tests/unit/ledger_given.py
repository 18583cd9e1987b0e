"""Given a book made by commands, when one more comes, then these events: the ledger's rules without any server."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from typing import Any

from google.protobuf.timestamp_pb2 import Timestamp

from services.common.chain import micros
from services.ledger.domain.book import Book, Member
from services.ledger.domain.commands import (
    ActivateProgram,
    AdvanceClock,
    AssignTier,
    AwardMoney,
    CaptureHold,
    Cause,
    Command,
    Enrol,
    EraseMember,
    MergeMembers,
    Money,
    PlaceHold,
    Profile,
    Purchase,
    PurchaseLine,
    RecordPurchase,
    RecordReturn,
    RecordTopUp,
    RefundSpend,
    ReleaseHold,
    Return,
    ReverseTopUp,
    SendGift,
    SetProfile,
    TakeBackMoney,
    TopUp,
    TopUpReversal,
)
from services.ledger.domain.decide import run
from services.ledger.domain.events import Decided, Event
from services.ledger.domain.program import Program, parse_program
from tallybook.activities.v1 import activities_pb2 as activities

NOON = datetime(2026, 1, 5, 12, tzinfo=UTC)
DAY = timedelta(days=1)
CHAIN = 3
NO_CAUSE = Cause("test", "1")
LEDGER: dict[str, Any] = {
    "currency": "USD",
    "enrolment": "on_first_activity",
    "earning": {
        "points_per_unit": 1,
        "rounding": "floor",
        "exclude_categories": ["FUEL"],
        "tier_multipliers": {"silver": "1.25", "gold": "1.5"},
    },
    "expiry": {"months": 12},
    "holds": {"default_ttl_seconds": 900, "max_ttl_seconds": 86_400},
}


def program(version: str = "v1", clock: str = "events", time_zone: str = "UTC", **ledger: Any) -> Program:
    """A version of the grocer's program, with parts of its section `ledger` replaced."""
    document = {
        "program": "grocer", "time_zone": time_zone, "clock": clock, "ledger": {**LEDGER, **ledger},
    }  # fmt: skip
    return parse_program(document, version)


class Given:
    """A book with one program on one chain. Positions start at 1."""

    def __init__(self, *commands: Command, rules: Program | None = None) -> None:
        self.book = Book()
        self.position = 0
        self.journal: list[tuple[int, Decided]] = []
        self.activate(rules or program())
        for command in commands:
            self.when(command)

    def activate(self, rules: Program) -> None:
        """Make a version the one in force."""
        self.book.versions[rules.version] = rules
        self.when(ActivateProgram("grocer", "", CHAIN, NO_CAUSE, NOON, rules.version, b"{}"))

    def decided(self, command: Command) -> list[Decided]:
        """What follows from a command, put into the book. Raises Refusal."""
        done = run(self.book, command, self._append)
        return [decided for _, decided in done]

    def when(self, command: Command) -> list[Event]:
        """The events that follow from a command, put into the book. Raises Refusal."""
        return [decided.event for decided in self.decided(command)]

    def member(self, member: str = "ann") -> Member:
        """A member as the book has it."""
        return self.book.members["grocer", member]

    def lot(self, member: str = "ann") -> int:
        """The id of the member's newest lot."""
        return max(self.member(member).lots)

    def lot_of(self, asset: str, member: str = "ann") -> int:
        """The id of the member's newest lot of an asset of money."""
        return max(lot.id for lot in self.member(member).money.values() if lot.asset == asset)

    def balance(self, member: str = "ann") -> tuple[int, int, int]:
        """(posted, held, debt)"""
        found = self.member(member)
        return found.posted, found.held, found.debt

    def _append(self, decided: Decided) -> int:
        self.position += 1
        self.journal.append((self.position, decided))
        return self.position


def line(
    id_: int = 1,
    amount: int = 5_000,
    quantity: int = 1,
    category: str = "FOOD",
    *,
    sku: str = "",
    brand: str = "",
) -> PurchaseLine:
    return PurchaseLine(id_, sku or f"sku-{id_}", category, quantity, amount, brand)


def purchase(
    id_: str = "p1",
    amount: int = 5_000,
    *,
    lines: Iterable[PurchaseLine] | None = None,
    at: datetime = NOON,
    member: str = "ann",
    currency: str = "USD",
    program: str = "grocer",
    now: datetime = NOON,
    store: str = "",
    channel: str = "",
    payment_method: str = "",
) -> RecordPurchase:
    """A purchase of one line of `amount` cents, or of `lines`."""
    told = [line(amount=amount)] if lines is None else list(lines)
    message = activities.Purchase(
        id=id_, program=program, member=member, occurred_at=stamp(at), currency=currency,
        lines=[activities.PurchaseLine(**x._asdict()) for x in told],
        store=store, channel=channel, payment_method=payment_method,
    )  # fmt: skip
    content = message.SerializeToString()
    fact = Purchase(id_, at, currency, told, content, store, channel, payment_method)
    return RecordPurchase(program, member, CHAIN, NO_CAUSE, now, fact)


def return_(
    of: str = "p1",
    units: Iterable[tuple[int, int]] = ((1, 1),),
    *,
    id_: str = "r1",
    at: datetime = NOON,
    member: str = "ann",
    program: str = "grocer",
    now: datetime = NOON,
) -> RecordReturn:
    """Units brought back: (line, units) pairs."""
    lines = list(units)
    message = activities.Return(
        id=id_, program=program, member=member, occurred_at=stamp(at), of=of,
        lines=[activities.ReturnLine(line=x, quantity=quantity) for x, quantity in lines],
    )  # fmt: skip
    fact = Return(id_, at, of, lines, message.SerializeToString())
    return RecordReturn(program, member, CHAIN, NO_CAUSE, now, fact)


def hold(
    amount: int,
    id_: str = "h1",
    *,
    ttl: int | None = None,
    order: str | None = None,
    member: str = "ann",
    program: str = "grocer",
    now: datetime = NOON,
    money: Money | None = None,
) -> PlaceHold:
    return PlaceHold(program, member, CHAIN, NO_CAUSE, now, id_, order or f"order-{id_}", amount, ttl, money)


def capture(
    id_: str = "h1",
    amount: int | None = None,
    *,
    final: bool = True,
    member: str = "ann",
    program: str = "grocer",
    now: datetime = NOON,
    money: Money | None = None,
) -> CaptureHold:
    return CaptureHold(program, member, CHAIN, NO_CAUSE, now, id_, amount, final, money)


def usd(amount: int) -> Money:
    return Money("USD", amount)


def release(
    id_: str = "h1", *, member: str = "ann", program: str = "grocer", now: datetime = NOON
) -> ReleaseHold:
    return ReleaseHold(program, member, CHAIN, NO_CAUSE, now, id_)


def top_up(
    id_: str = "t1",
    amount: int = 10_000,
    *,
    at: datetime = NOON,
    member: str = "ann",
    currency: str = "USD",
    program: str = "grocer",
    now: datetime = NOON,
) -> RecordTopUp:
    """Money paid in."""
    message = activities.TopUp(
        id=id_, program=program, member=member, occurred_at=stamp(at), currency=currency, amount=amount
    )
    fact = TopUp(id_, at, currency, amount, message.SerializeToString())
    return RecordTopUp(program, member, CHAIN, NO_CAUSE, now, fact)


def reverse_top_up(
    of: str = "t1",
    *,
    at: datetime = NOON,
    member: str = "ann",
    program: str = "grocer",
    now: datetime = NOON,
) -> ReverseTopUp:
    """A top-up undone."""
    message = activities.TopUpReversal(
        id=f"undo-{of}", program=program, member=member, occurred_at=stamp(at), of=of
    )
    fact = TopUpReversal(f"undo-{of}", at, of, message.SerializeToString())
    return ReverseTopUp(program, member, CHAIN, NO_CAUSE, now, fact)


def gift(
    amount: int,
    id_: str = "g1",
    *,
    to: str = "bob",
    member: str = "ann",
    currency: str = "USD",
    program: str = "grocer",
    now: datetime = NOON,
) -> SendGift:
    return SendGift(program, member, CHAIN, NO_CAUSE, now, id_, to, CHAIN, currency, amount)


def award_money(
    award: str = "a1",
    amount: int = 500,
    *,
    member: str = "ann",
    currency: str = "USD",
    program: str = "grocer",
    now: datetime = NOON,
) -> AwardMoney:
    """A reward of stored value."""
    return AwardMoney(program, member, CHAIN, NO_CAUSE, now, award, currency, amount)


def take_back_money(
    award: str = "a1",
    amount: int = 500,
    *,
    member: str = "ann",
    currency: str = "USD",
    program: str = "grocer",
    now: datetime = NOON,
) -> TakeBackMoney:
    """What was rewarded is refunded."""
    return TakeBackMoney(program, member, CHAIN, NO_CAUSE, now, award, currency, amount)


def refund(
    order: str = "order-h1",
    amount: int | None = None,
    *,
    id_: str = "f1",
    member: str = "ann",
    program: str = "grocer",
    now: datetime = NOON,
    money: Money | None = None,
) -> RefundSpend:
    return RefundSpend(program, member, CHAIN, NO_CAUSE, now, id_, order, amount, money)


def enrol(
    member: str = "ann",
    *identifiers: tuple[str, bytes],
    at: datetime = NOON,
    program: str = "grocer",
    now: datetime = NOON,
) -> Enrol:
    return Enrol(program, member, CHAIN, NO_CAUSE, now, at, list(identifiers))


def tier(name: str, since: datetime, *, member: str = "ann", program: str = "grocer") -> AssignTier:
    return AssignTier(program, member, CHAIN, NO_CAUSE, NOON, name, since, 1)


def merge(survivor: str = "ann", absorbed: str = "bob") -> MergeMembers:
    """Both on the same chain."""
    return MergeMembers("grocer", survivor, CHAIN, NO_CAUSE, NOON, absorbed, CHAIN)


def profile(member: str = "ann", program: str = "grocer", sealed: bytes = b"sealed") -> SetProfile:
    return SetProfile(program, member, CHAIN, NO_CAUSE, NOON, Profile(sealed, b"key"))


def erase(member: str = "ann", program: str = "grocer") -> EraseMember:
    return EraseMember(program, member, CHAIN, NO_CAUSE, NOON)


def clock(to: datetime, *, program: str = "grocer", now: datetime = NOON) -> AdvanceClock:
    return AdvanceClock(program, "", CHAIN, NO_CAUSE, now, to)


def stamp(time: datetime) -> Timestamp:
    """A protobuf Timestamp; out-of-range ones too, for the rules that refuse them."""
    seconds, rest = divmod(micros(time), 1_000_000)
    return Timestamp(seconds=seconds, nanos=rest * 1_000)
