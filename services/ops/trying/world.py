"""A ledger with its tiers in memory: takes what was recorded, by its own documents, and counts what comes of it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime
from typing import NamedTuple

from services.common.chain import chain_of
from services.common.errors import Refusal
from services.ledger.domain import commands as c
from services.ledger.domain import events as e
from services.ledger.domain.book import Book
from services.ledger.domain.clock import tick_before
from services.ledger.domain.decide import decide
from services.ledger.domain.evolve import evolve
from services.ledger.store import Programs
from services.ops.trying.figures import Figures
from services.ops.trying.tiers import Facts, Tiers
from services.tiering.domain.events import TierChanged, Told

TIERING = "tallybook/tiering"
"""Where recorded tiers come from: a try finds its own."""
REWARDED = c.RewardReferral
"""What is owed for a referral is given as soon as it is owed, so the recorded rewards are passed over."""

BY_HAND = (c.Adjust, c.ApproveAdjustment, c.DeclineAdjustment)


class Document(NamedTuple):
    """A version of a program."""

    version: str
    content: bytes


class Standing(NamedTuple):
    """A member at the end."""

    tier: str
    earned: int
    balance: int


class World:
    """One program as it would have been."""

    def __init__(
        self,
        program: str,
        chains: int,
        document: Document | None,
        programs: Programs,
        facts: Facts,
        since: datetime | None = None,
        instead_of: str = "",
        without: str = "",
    ) -> None:
        """`document` is in force from `since` on (None: from the beginning), and what was recorded before it.

        With `instead_of` it is in force where that version was, and everything else as recorded. Without `document` it
        is what was recorded all along. Points by hand whose id begins with `without` are not given.
        """
        self.figures = Figures()
        self._id = program
        self._chains = chains
        self._document = document
        self._since = since
        self._instead_of = instead_of
        self._without = without
        self._begun: set[int] = set()
        """Chains on which `document` is in force."""
        self._programs = programs
        self._positions: dict[int, int] = {}
        self.book = Book()
        self.book.versions = programs.versions
        self.tiers = Tiers(program, facts)

    def take(self, command: c.Command) -> None:
        """A recorded command, and what follows from it."""
        if isinstance(command, REWARDED) or (
            isinstance(command, c.AssignTier) and command.cause.source == TIERING
        ):
            return
        if self._without and isinstance(command, BY_HAND) and command.adjustment.startswith(self._without):
            return
        if self._document is not None and self._instead_of:
            if isinstance(command, c.ActivateProgram) and command.version == self._instead_of:
                version, content = self._document
                command = replace(command, version=version, document=content)
        elif self._document is not None:
            activates = isinstance(command, c.ActivateProgram)
            if self._reaches(command):
                self._begin(self._document, command.chain, command.now)
            if activates and command.chain in self._begun:
                return
        tick = tick_before(self.book, command)
        if tick is not None:
            self._run(tick)
        code = self._run(command)
        if code:
            self.figures.refuse(command, code)

    def tell(self, chain: int, told: tuple[str, datetime, Told]) -> None:
        """A tier given by hand, or taken back."""
        self._assign(self.tiers.tell(chain, self._positions.get(chain, 0), told))

    def finish(self, chain: int, to: datetime) -> None:
        """The clock comes to `to`: what expires or is reviewed by then does so."""
        if (chain, self._id) in self.book.programs:
            begins = self._document is not None and not self._instead_of and (self._since or to) <= to
            if self._document is not None and begins and chain not in self._begun:
                self._begin(self._document, chain, to)
            self._run(c.AdvanceClock(self._id, "", chain, c.Cause("clock", to.isoformat()), to, to))

    def members(self) -> Iterator[tuple[str, Standing]]:
        """Everybody who has not been merged into another, with what those earned who were merged into them."""
        earned = Counter[str]()
        for name, points in self.figures.earned.items():
            earned[self.book.heir(self._id, name)] += points
        for (_, name), member in self.book.members.items():
            if not member.merged_into:
                yield name, Standing(self.tiers.tier_of(member.chain, name), earned[name], member.posted)

    def _reaches(self, command: c.Command) -> bool:
        """The document that is tried comes into force with this command, or just before it."""
        if command.chain in self._begun:
            return False
        state = self.book.programs.get((command.chain, self._id))
        if self._since is None:
            return state is not None or isinstance(command, c.ActivateProgram)
        # An activation is dated by the wall's clock, whatever the program's: it reaches no day by itself.
        at = _time_of(command)
        return state is not None and max(state.clock, at or state.clock) >= self._since

    def _begin(self, document: Document, chain: int, now: datetime) -> None:
        self._begun.add(chain)
        cause = c.Cause("program", document.version)
        self._run(c.ActivateProgram(self._id, "", chain, cause, now, document.version, document.content))

    def _run(self, command: c.Command) -> str:
        """Decide, evolve, count, and let tiers and rewards follow. Returns the code of a refusal, empty for none."""
        book = self.book
        happened: list[tuple[int, int, e.Decided]] = []
        if isinstance(command, c.ActivateProgram):
            self._programs.parsed(command.version, command.document)
        try:
            for decided in decide(book, command):
                chain = command.chain if decided.chain is None else decided.chain
                position = self._positions[chain] = self._positions.get(chain, 0) + 1
                evolve(book, chain, self._id, decided, position)
                happened.append((chain, position, decided))
        except Refusal as refused:
            return refused.code
        for chain, position, decided in happened:
            program = book.program(chain, self._id)
            if program is not None:
                self.figures.note(program, decided)
            self._assign(self.tiers.take(chain, position, decided))
        for _, _, decided in happened:
            self._reward(decided, command)
        return ""

    def _assign(self, changes: list[TierChanged]) -> None:
        for change in changes:
            merged = self.book.heir(self._id, change.member) != change.member
            if change.from_tier != change.to_tier and not merged:
                chain = chain_of(change.member, self._chains)
                cause = c.Cause(TIERING, "")
                self._run(
                    c.AssignTier(
                        self._id, change.member, chain, cause, change.since, change.to_tier, change.since, 0
                    )
                )

    def _reward(self, decided: e.Decided, command: c.Command) -> None:
        if not (isinstance(decided.event, e.ReferralQualified | e.ReferralTaskDone) and decided.event.owed):
            return
        member = decided.member or ""
        referrer = self.book.heir(self._id, self.book.referrals[self._id, member].referrer)
        there = chain_of(referrer, self._chains)
        chain = command.chain if decided.chain is None else decided.chain
        cause = c.Cause("tallybook/referrals", decided.event.referral)
        self._run(c.RewardReferral(self._id, member, chain, cause, decided.occurred_at, referrer, there))


def _time_of(command: c.Command) -> datetime | None:
    """When what a command tells of happened; None for an activation."""
    match command:
        case c.RecordPurchase():
            return command.purchase.occurred_at
        case c.RecordReturn() | c.RecordTopUp() | c.ReverseTopUp():
            return command.activity.occurred_at
        case c.RecordInteraction() | c.RecordReferral() | c.Enrol():
            return command.occurred_at
        case c.AdvanceClock():
            return command.to
        case c.ActivateProgram():
            return None
    return command.now
