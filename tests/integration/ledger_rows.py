"""A ledger's database, and commands sent down the road that Kafka's batches and HTTP's requests take."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import asyncpg

from services.common.chain import chain_of
from services.common.clock import utc_now
from services.common.db import Writer, ensure_installation
from services.common.errors import BeginAgain
from services.common.program_document import canonical, version_of
from services.ledger import wire
from services.ledger.consume import command_of
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
    RefundSpend,
    ReleaseHold,
    SendGift,
    SetProfile,
)
from services.ledger.handle import KINDS, Outcome, handle
from services.ledger.store import Programs
from tallybook.activities.v1 import activities_pb2 as activities

CHAINS = 4
IDENTIFIERS = wire.Identifiers("0123456789abcdef" * 4)
NOON = datetime(2026, 1, 5, 12, tzinfo=UTC)
DOCUMENT: dict[str, Any] = {
    "program": "grocer",
    "time_zone": "UTC",
    "clock": "events",
    "ledger": {
        "currency": "USD",
        "enrolment": "on_first_activity",
        "earning": {
            "points_per_unit": 1,
            "exclude_categories": ["FUEL"],
            "tier_multipliers": {"silver": "1.25", "gold": "1.5"},
        },
        "expiry": {"months": 12},
        "adjustments": {"reasons": ["goodwill"], "limit": 100},
        "holds": {"max_ttl_seconds": 86_400_0},
        "stored_value": {
            "ladder": [
                {"load": 5_000, "bonus_points": 50},
                {"load": 10_000, "bonus": 1_000, "bonus_points": 20},
            ],
            "expiry": {"bonus_months": 6},
            "balance": {"max": 100_000},
        },
    },
}
WINDOWED: dict[str, Any] = {
    **DOCUMENT,
    "ledger": {**DOCUMENT["ledger"], "pending": {"days": 14}, "expiry": {"inactivity_months": 1}},
}
"""The same program with a return window, and points that live a month from the last purchase or redemption."""


PARKS: dict[str, Any] = {
    **DOCUMENT,
    "program": "parker",
    "ledger": {**DOCUMENT["ledger"], "enrolment": "park"},
}
SOCIAL: dict[str, Any] = {
    **DOCUMENT,
    "ledger": {
        **DOCUMENT["ledger"],
        "campaigns": [{"id": "welcome", "budget": 1_000}],
        "interactions": [
            {"kind": "review", "points": 10, "once_per": "content", "caps": {"month": 3}},
            {"kind": "photo", "points": 100, "campaign": "welcome"},
        ],
        "referrals": {
            "minimum": 2_000,
            "referrer": {"points": 500},
            "referee": {"points": 200, "task": "bind_phone"},
            "caps": {"month": 5},
            "campaign": "welcome",
        },
    },
}
"""The grocer's program with interactions, referrals and a campaign."""


@dataclass
class Ledger:
    """One process's view of a ledger's database: its own connections and its own cache of programs."""

    writer: Writer
    chains: int = CHAINS
    programs: Programs = field(default_factory=Programs)

    @classmethod
    @asynccontextmanager
    async def open(cls, url: str, chains: int = CHAINS) -> AsyncIterator[Ledger]:
        """Connected; the installation is set up."""
        writer = await Writer.connect(url)
        try:
            await ensure_installation(writer, chains)
            yield cls(writer, chains)
        finally:
            await writer.close()

    async def take(self, *commands: Command) -> list[Outcome]:
        """One transaction; begun again when it met members who were merged."""
        while True:
            try:
                async with self.writer.transaction() as tx:
                    return await handle(tx, commands, self.programs, self.chains, utc_now())
            except BeginAgain:
                continue

    async def activate(self, document: dict[str, Any] = DOCUMENT) -> str:
        """Make a document the version in force on every chain; returns the version."""
        content = canonical(document)
        version, program = version_of(content), document["program"]
        cause = Cause("program", f"{program}@{version}")
        await self.take(
            *(
                ActivateProgram(program, "", chain, cause, NOON, version, content)
                for chain in range(self.chains)
            )
        )
        return version

    async def advance(self, to: datetime, program: str = "grocer") -> None:
        """Move the program's clock on every chain."""
        cause = Cause("clock", to.isoformat())
        await self.take(*(AdvanceClock(program, "", chain, cause, NOON, to) for chain in range(self.chains)))

    async def rows(self, sql: str, *parameters: object) -> list[asyncpg.Record]:
        """What a query gives."""
        async with self.writer.session() as session:
            return await session.fetch(sql, *parameters)

    async def value(self, sql: str, *parameters: object) -> Any:
        """The one value that a query gives."""
        async with self.writer.session() as session:
            return await session.fetchval(sql, *parameters)

    async def balance(self, member: str = "ann") -> tuple[int, int, int]:
        """(posted, held, debt)"""
        (row,) = await self.rows(
            "SELECT posted, held, debt FROM accounts WHERE member = $1 AND asset = 'points'", member
        )
        return tuple(row)

    def hold(
        self,
        amount: int,
        id_: str = "h1",
        member: str = "ann",
        ttl: int | None = None,
        money: int | None = None,
    ) -> PlaceHold:
        cause, order = self._cause("hold", id_, amount, ttl, money), f"order-{id_}"
        return PlaceHold(
            "grocer", member, self._chain(member), cause, NOON, id_, order, amount, ttl, _usd(money)
        )

    def capture(self, id_: str = "h1", amount: int | None = None, member: str = "ann") -> CaptureHold:
        cause = self._cause("capture", f"c-{id_}", id_, amount)
        return CaptureHold("grocer", member, self._chain(member), cause, NOON, id_, amount)

    def capture_part(
        self, amount: int, id_: str, hold: str = "h1", member: str = "ann", money: int | None = None
    ) -> CaptureHold:
        """A capture that leaves the rest held."""
        cause = self._cause("capture", id_, hold, amount, "more", money)
        chain = self._chain(member)
        return CaptureHold("grocer", member, chain, cause, NOON, hold, amount, False, _usd(money))

    def refund(
        self,
        id_: str = "f1",
        amount: int | None = None,
        order: str = "order-h1",
        member: str = "ann",
        money: int | None = None,
    ) -> RefundSpend:
        cause = self._cause("refund", id_, order, amount, money)
        return RefundSpend(
            "grocer", member, self._chain(member), cause, NOON, id_, order, amount, _usd(money)
        )

    def release(self, id_: str = "h1", member: str = "ann") -> ReleaseHold:
        return ReleaseHold(
            "grocer", member, self._chain(member), self._cause("release", f"r-{id_}", id_), NOON, id_
        )

    def merge(self, survivor: str, absorbed: str, id_: str = "") -> MergeMembers:
        cause = self._cause("merge", id_ or absorbed, absorbed)
        return MergeMembers(
            "grocer", survivor, self._chain(survivor), cause, NOON, absorbed, self._chain(absorbed)
        )

    def profile(self, member: str, **content: Any) -> SetProfile:
        cause = self._cause("profile", f"{member}-{content}", content)
        sealed = IDENTIFIERS.sealer.seal("grocer", content)
        return SetProfile("grocer", member, self._chain(member), cause, NOON, sealed)

    def erase(self, member: str) -> EraseMember:
        return EraseMember("grocer", member, self._chain(member), self._cause("erasure", member), NOON)

    def member_command(self, cls: type[Any], id_: str, member: str, *content: object) -> Command:
        """A command in which nothing follows what all commands have but `content`."""
        cause = self._cause(KINDS[cls.__name__], id_, *content)
        command: Command = cls("grocer", member, self._chain(member), cause, NOON, *content)
        return command

    def tier(self, name: str, since: datetime, position: int = 1, member: str = "ann") -> AssignTier:
        cause = Cause("tallybook/tiering", f"{self._chain(member)}-{position}")
        return AssignTier("grocer", member, self._chain(member), cause, NOON, name, since, position)

    def purchase(
        self, id_: str = "p1", amount: int = 10_000, *, member: str = "ann", at: datetime = NOON, quantity: int = 1,
        line: int = 1, program: str = "grocer",
    ) -> Command:  # fmt: skip
        """A purchase of one line."""
        message = purchase_message(
            id_, amount, member=member, at=at, quantity=quantity, line=line, program=program
        )
        return self.activity(message)

    def return_(
        self,
        of: str = "p1",
        id_: str = "r1",
        *,
        member: str = "ann",
        at: datetime = NOON,
        line: int = 1,
        units: int = 1,
        program: str = "grocer",
    ) -> Command:
        message = activities.Return(id=id_, program=program, member=member, of=of)
        message.occurred_at.FromDatetime(at)
        message.lines.add(line=line, quantity=units)
        return self.activity(message)

    def interaction(
        self, id_: str, kind: str, content: str = "", *, member: str = "ann", at: datetime = NOON
    ) -> Command:
        message = activities.Interaction(id=id_, program="grocer", member=member, kind=kind, content=content)
        message.occurred_at.FromDatetime(at)
        return self.activity(message)

    def referral(self, id_: str, referee: str, *, at: datetime = NOON, **step: str) -> Command:
        """`referrer` for a registration, `task` for a task."""
        kind = "registered" if "referrer" in step else "task"
        message = activities.Referral(id=id_, program="grocer", member=referee, step=kind, **step)
        message.occurred_at.FromDatetime(at)
        return self.activity(message)

    def enrol(self, member: str = "ann", *cards: str, id_: str = "", program: str = "grocer") -> Command:
        identifiers = [activities.Identifier(kind="card", value=card) for card in cards]
        message = activities.Enrolment(id=id_, program=program, member=member, identifiers=identifiers)
        message.occurred_at.FromDatetime(NOON)
        return self.activity(message)

    def top_up(
        self, id_: str = "t1", amount: int = 10_000, *, member: str = "ann", at: datetime = NOON
    ) -> Command:
        message = activities.TopUp(id=id_, program="grocer", member=member, currency="USD", amount=amount)
        message.occurred_at.FromDatetime(at)
        return self.activity(message)

    def reverse_top_up(
        self, of: str = "t1", id_: str = "u1", *, member: str = "ann", at: datetime = NOON
    ) -> Command:
        message = activities.TopUpReversal(id=id_, program="grocer", member=member, of=of)
        message.occurred_at.FromDatetime(at)
        return self.activity(message)

    def gift(self, amount: int, to: str, id_: str = "g1", member: str = "ann") -> SendGift:
        cause = self._cause("gift", id_, to, amount)
        there = self._chain(to)
        return SendGift("grocer", member, self._chain(member), cause, NOON, id_, to, there, "USD", amount)

    def activity(self, message: Any) -> Command:
        """The command in an activity."""
        return command_of(message, IDENTIFIERS, self.chains, utc_now())

    def _chain(self, member: str) -> int:
        return chain_of(member, self.chains)

    @staticmethod
    def _cause(kind: str, id_: str, *content: object) -> Cause:
        return Cause(f"grocer/{kind}", id_, repr(content).encode())


def _usd(cents: int | None) -> Money | None:
    return None if cents is None else Money("USD", cents)


def purchase_message(
    id_: str, amount: int = 10_000, *, member: str = "ann", at: datetime = NOON, quantity: int = 1, line: int = 1,
    program: str = "grocer",
) -> Any:  # fmt: skip
    """A purchase of one line, as an activity."""
    message = activities.Purchase(
        id=id_, program=program, member=member, store="s1", channel="pos", currency="USD"
    )
    message.occurred_at.FromDatetime(at)
    message.lines.add(id=line, sku="A1", category="FOOD", quantity=quantity, amount=amount)
    return message


def member_on(chain: int, start: int = 0, chains: int = CHAINS) -> str:
    """A member id that lives on a chain; another one for another `start`."""
    return next(
        f"m{n}" for n in range(start * 10_000, (start + 1) * 10_000) if chain_of(f"m{n}", chains) == chain
    )
