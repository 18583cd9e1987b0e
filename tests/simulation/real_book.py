"""The ledger's core without servers: commands made from the wire, decided as a batch is, the journal in memory."""

from __future__ import annotations

from collections import Counter
from copy import copy
from datetime import UTC, datetime
from typing import Any

from services.common.chain import genesis, micros, row_hash
from services.common.clock import utc_now
from services.common.journal import Head, Journal
from services.common.program_document import canonical
from services.ledger import payloads, wire
from services.ledger.consume import command_of
from services.ledger.domain.book import POINTS, Book, Member
from services.ledger.domain.commands import (
    ActivateProgram,
    AdvanceClock,
    AssignTier,
    CaptureHold,
    Cause,
    Command,
    EraseMember,
    MergeMembers,
    Money,
    PlaceHold,
    Profile,
    RefundSpend,
    ReleaseHold,
    SetProfile,
)
from services.ledger.domain.events import Decided
from services.ledger.domain.evolve import evolve
from services.ledger.domain.program import parse_program
from services.ledger.handle import Outcome, decide_batch
from services.ledger.heirs import follow
from services.ledger.parking import widen
from services.ledger.store import Loaded, Programs
from tallybook.activities.v1 import activities_pb2 as activities
from tests.simulation.naive_accounts import EXCLUDED, SPEND_FIRST
from tests.simulation.naive_earning import EARNING
from tests.simulation.naive_holds import REINSTATE_DAYS
from tests.simulation.naive_ledger import HOLD_SECONDS
from tests.simulation.naive_lots import RULES
from tests.simulation.naive_members import LIMIT
from tests.simulation.naive_stored_value import STORED_VALUE
from tests.simulation.social_book import SOCIAL

WALL = datetime(2020, 1, 1, 12, tzinfo=UTC)
EARLIEST = datetime(1970, 1, 1, tzinfo=UTC)
IDENTIFIERS = wire.Identifiers("0" * 64)
PROGRAM = "club"


def document(version: str) -> dict[str, Any]:
    """The programs of naive_ledger.RATES and naive_lots.RULES, as documents."""
    ledger: dict[str, Any] = {
        "currency": "JPY",
        "enrolment": "on_first_activity",
        "earning": {
            "points_per_unit": "0.01",
            "exclude_categories": [EXCLUDED],
            "tier_multipliers": {"silver": "1.25", "gold": "1.5"},
        },
        "adjustments": {"reasons": ["goodwill"], "limit": LIMIT},
        **RULES[version.removesuffix("-park")],
        "stored_value": STORED_VALUE[version.removesuffix("-park")],
        "holds": {"default_ttl_seconds": HOLD_SECONDS, "max_ttl_seconds": 10_000_000},
        **SOCIAL[version.removesuffix("-park")],
    }
    if (first := SPEND_FIRST.get(version.removesuffix("-park"))) is not None:
        ledger["spending"] = {"first": first}
    if version.endswith("park"):
        ledger["enrolment"] = "park"
    if version.startswith("v3"):
        ledger["earning"] |= EARNING
    if version.startswith("v2"):
        ledger["earning"]["points_per_unit"] = "0.033333333"
        ledger["returns"] = {
            "expired_lots": {"reinstate_days": REINSTATE_DAYS["v2"]},
            "shortfall": "forgive",
            "unknown_purchase": "park",
            "without_purchase": "record",
        }
    return {"program": PROGRAM, "time_zone": "UTC", "clock": "events", "ledger": ledger}


class RealBook:
    """One chain that remembers everything, as one batch without end."""

    def __init__(self) -> None:
        self.programs = Programs()
        book = Book()
        book.versions = self.programs.versions
        self.loaded = Loaded(book, Journal({0: Head(0, 0, genesis(0))}, payloads.encode), {}, 1)
        self.asked: set[type[Command]] = set()

    @property
    def book(self) -> Book:
        return self.loaded.book

    @property
    def rows(self) -> list[tuple[Any, ...]]:
        """The journal's rows."""
        return self.loaded.journal.sealed()

    def member(self, member: str) -> Member:
        return self.book.members[PROGRAM, member]

    def take(self, command: Command) -> Outcome:
        """Decide one command."""
        command.now = WALL
        follow(command, {key: m.merged_into for key, m in self.book.members.items() if m.merged_into}, 1)
        widen(command, self.programs.parking, 1)
        self.asked.add(type(command))
        return decide_batch(self.loaded, [command], WALL)[0]

    def activate(self, version: str) -> None:
        """Make `document(version)` the one in force, under the name `version`."""
        content = canonical(document(version))
        program = self.programs.versions[version] = parse_program(document(version), version)
        if program.parks:
            self.programs.parking.add(PROGRAM)
        cause = Cause("program", version)
        self.take(ActivateProgram(PROGRAM, "", 0, cause, WALL, version, content))

    def advance(self, to: datetime) -> Outcome:
        return self.take(AdvanceClock(PROGRAM, "", 0, Cause("clock", to.isoformat()), WALL, to))

    def assign(self, member: str, tier: str, since: datetime) -> Outcome:
        return self.take(
            AssignTier(PROGRAM, member, 0, Cause("tallybook/tiering", "0-1"), WALL, tier, since, 1)
        )

    def replayed(self) -> Book:
        """The book that the journal's bytes give."""
        again = Book(keeps_purchases=False)
        again.versions = self.programs.versions
        for chain, position, program, member, type_, occurred_at, *_, payload, _hash in self.rows:
            evolve(
                again, chain, program, Decided(payloads.decode(type_, payload), member, occurred_at), position
            )
        return again

    def check_replay(self) -> None:
        """Every row through its bytes gives the same book, and every hash covers the row before."""
        again = self.replayed()
        members = {key: copy(member) for key, member in self.book.members.items()}
        for member in members.values():
            member.purchases, member.uncounted = {}, 0
        assert again.members == members
        assert again.programs == self.book.programs
        assert again.identifiers == self.book.identifiers
        assert again.referrals == self.book.referrals
        assert again.budgets == self.book.budgets
        last = genesis(0)
        for number, row in enumerate(self.rows, 1):
            (
                chain,
                position,
                program,
                member,
                type_,
                occurred_at,
                recorded_at,
                *cause,
                version,
                payload,
                hash_,
            ) = row
            assert position == number
            last = row_hash(
                last,
                chain,
                position,
                program,
                member,
                type_,
                micros(occurred_at),
                micros(recorded_at),
                *cause,
                version,
                payload,
            )
            assert hash_ == last

    def check_postings(self) -> Counter[tuple[str, str]]:
        """L1 and L2: all accounts sum to zero; a member's postings are its balance, lot by lot.

        Returns what accounts have, by (account, asset).
        """
        accounts: Counter[tuple[str, str]] = Counter()
        lots: Counter[tuple[str, int | None]] = Counter()
        in_transit = 0
        for _, _, _, _, debit, credit, asset, amount, lot in self.loaded.changes.postings:
            assert amount > 0
            assert debit != credit
            lots[credit, lot] += amount
            lots[debit, lot] -= amount
            in_transit += amount * ((credit == "in_transit") - (debit == "in_transit"))
            accounts[credit, asset] += amount
            accounts[debit, asset] -= amount
        assert sum(accounts.values()) == in_transit == 0
        for (_, name), member in self.book.members.items():
            account = f"member/{name}"
            assert accounts[account, POINTS] == member.posted
            assert lots[account, None] == -member.debt
            every = (*member.lots.values(), *member.money.values())
            assert all(lots[account, lot.id] == lot.remaining for lot in every)
        return accounts


def activity_of(message: Any) -> Command:
    """The command that Kafka or HTTP would make of an activity."""
    return command_of(message, IDENTIFIERS, 1, utc_now())


def purchase_of(id_: str, member: str, at: datetime, lines: list[tuple[str, int, int]]) -> Command:
    """`lines` are (category, units, cents)."""
    message = activities.Purchase(id=id_, program=PROGRAM, member=member, currency="JPY")
    message.occurred_at.FromDatetime(at)
    for number, (category, units, cents) in enumerate(lines, 1):
        message.lines.add(id=number, sku="s", category=category, quantity=units, amount=cents)
    return activity_of(message)


def return_of(id_: str, of: str, member: str, at: datetime, units: dict[int, int]) -> Command:
    """`units` by line."""
    message = activities.Return(id=id_, program=PROGRAM, member=member, of=of)
    message.occurred_at.FromDatetime(at)
    for line, count in units.items():
        message.lines.add(line=line, quantity=count)
    return activity_of(message)


def enrolment_of(id_: str, member: str) -> Command:
    message = activities.Enrolment(id=id_, program=PROGRAM, member=member)
    message.occurred_at.FromDatetime(WALL)
    return activity_of(message)


def _cause(kind: str, id_: str, *content: object) -> Cause:
    return Cause(f"{PROGRAM}/{kind}", id_, repr(content).encode())


def order_of(hold: str) -> str:
    """The order that a hold is for: some holds are for the same."""
    return f"o{int(hold[1:]) % 8}"


def _money(coins: int | None) -> Money | None:
    return Money("JPY", coins) if coins else None


def hold_of(id_: str, member: str, amount: int, seconds: int, coins: int = 0) -> Command:
    cause = _cause("hold", id_, amount, seconds, coins)
    return PlaceHold(PROGRAM, member, 0, cause, WALL, id_, order_of(id_), amount, seconds, _money(coins))


def capture_of(
    id_: str, hold: str, member: str, amount: int | None, final: bool = True, coins: int | None = None
) -> Command:
    cause = _cause("capture", id_, hold, amount, final, coins)
    return CaptureHold(PROGRAM, member, 0, cause, WALL, hold, amount, final, _money(coins))


def merge_of(id_: str, survivor: str, absorbed: str) -> Command:
    return MergeMembers(PROGRAM, survivor, 0, _cause("merge", id_, absorbed), WALL, absorbed, 0)


def profile_of(id_: str, member: str) -> Command:
    cause = _cause("profile", id_)
    return SetProfile(PROGRAM, member, 0, cause, WALL, Profile(id_.encode(), b"key"))


def erasure_of(id_: str, member: str) -> Command:
    return EraseMember(PROGRAM, member, 0, _cause("erasure", id_), WALL)


def release_of(id_: str, hold: str, member: str) -> Command:
    return ReleaseHold(PROGRAM, member, 0, _cause("release", id_, hold), WALL, hold)


def refund_of(id_: str, order: str, member: str, amount: int | None, coins: int | None = None) -> Command:
    cause = _cause("refund", id_, order, amount, coins)
    return RefundSpend(PROGRAM, member, 0, cause, WALL, id_, order, amount, _money(coins))
