"""Decides a command again and holds the events against the recorded rows, one by one.

The book goes on from what is recorded, right or wrong: so a wrong decision is found once, and not again in all that
came of it.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from dataclasses import fields
from datetime import UTC, datetime
from typing import Any

from google.protobuf.message import DecodeError

from services.common.errors import InvariantBroken, Refusal, Undecodable
from services.ledger import payloads
from services.ledger.domain import earning
from services.ledger.domain.book import Book
from services.ledger.domain.clock import tick_before
from services.ledger.domain.commands import Command, RecordReferral
from services.ledger.domain.decide import DECIDERS, decide
from services.ledger.domain.events import (
    AwardWithheld,
    Decided,
    PointsAccrued,
    PointsAwarded,
    ProgramActivated,
)
from services.ledger.domain.evolve import evolve
from services.ledger.store import Programs
from services.ops.recorded.rows import Recorded, Row
from services.ops.recorded.told import command_of, lead_of
from services.ops.redecide.differences import DIFFERENCES_MAX, Difference, Report

UNREADABLE = (
    InvariantBroken, DecodeError, Undecodable, LookupError, ValueError, TypeError, AttributeError, ArithmeticError,
)  # fmt: skip
"""What a row may fail with that the ledger has not written: a time, a lot or a number that is not there."""
LOOKED_AT_BUDGET = ("repeated", "cap_reached", "budget_exhausted")
"""Why an award is withheld that says what its campaign had left."""
NOTHING = "nothing"


class CannotFollow(Exception):
    """A recorded row can't follow from the rows before it."""


class Again:
    """The book of some chains as it was at each command, and what was found on the way."""

    def __init__(self, programs: Programs, chains: int) -> None:
        """`programs` may know versions already: these count, whatever the journal's documents say."""
        self.report = Report()
        self.book = Book()
        self.book.versions = programs.versions
        self._programs = programs
        self._chains = chains

    def ready(self, recorded: Recorded) -> bool:
        """A referral waits for its referrer, who may be on another chain."""
        if not recorded.rows or lead_of(recorded).type != "ReferralRegistered":
            return True
        command = command_of(recorded, self.book, self._chains)
        return (
            isinstance(command, RecordReferral) and (command.program, command.referrer) in self.book.members
        )

    def take(self, recorded: Recorded) -> None:
        """The command again, and the recorded rows into the book.

        Raises:
            CannotFollow: these rows can't; what comes behind them can't be decided any more.
        """
        self.report.rows += len(recorded)
        try:
            self._take(recorded)
        except UNREADABLE as error:
            raise self._cannot(recorded.first, error) from error

    def _take(self, recorded: Recorded) -> None:
        first = recorded.first
        if not recorded.rows:
            kind, why = "unknown", "its command is not on the chain that it names"
            self._differs(kind, first, first.type, "", "there", NOTHING, why)
            self._follow([*recorded.elsewhere])
            return
        command = command_of(recorded, self.book, self._chains)
        if command is None:
            self.report.untold[_untold(first)] += 1
            return
        kind = type(command).__name__
        self.report.decided[kind] += 1
        self._check_version(kind, recorded)
        if tick_before(self.book, command) is not None:
            why = "the program runs on its events, and this is the first of its day"
            self._differs(kind, first, "ClockAdvanced", "", NOTHING, "a row before this one", why)
        self._budgets(recorded)
        self._compare(kind, command, recorded)

    def _compare(self, kind: str, command: Command, recorded: Recorded) -> None:
        waiting: dict[int, deque[Row]] = {command.chain: deque(recorded.rows)}
        for row in recorded.elsewhere:
            waiting.setdefault(row.chain, deque()).append(row)
        last = recorded.first
        try:
            for decided in decide(self.book, command):
                chain = command.chain if decided.chain is None else decided.chain
                there = waiting.get(chain)
                if not there:
                    why = self._why(command, decided)
                    self._differs(kind, last, _name(decided), "", NOTHING, _said(decided.event), why)
                    break
                last = there[0]
                if not _same(last, decided):
                    self._compare_fields(kind, command, last, decided)
                    break
                there.popleft()
                self._learn(decided)
                evolve(self.book, chain, last.program, decided, last.position)
            else:
                for number, row in enumerate([row for rows in waiting.values() for row in rows]):
                    why = self._why(command, None)
                    self._differs(kind, row, row.type, "", "there", NOTHING, why, counts=number == 0)
        except Refusal as refused:
            why = f"{refused.code}: {refused.detail}"
            self._differs(kind, last, last.type, "", "there", "a refusal", why)
        except UNREADABLE as error:
            self._differs(kind, last, last.type, "", "there", "no decision", repr(error))
        self._follow([row for rows in waiting.values() for row in rows])

    def _compare_fields(self, kind: str, command: Command, row: Row, decided: Decided) -> None:
        why = self._why(command, decided)
        event: Any = payloads.decode(row.type, row.payload)
        if type(event) is not type(decided.event):
            self._differs(kind, row, row.type, "", "there", f"{_name(decided)} {_said(decided.event)}", why)
            return
        found = [
            (name, was, now)
            for name, was, now in (
                ("member", row.member, decided.member),
                ("occurred_at", row.occurred_at, decided.occurred_at),
                *_fields(event, decided.event),
            )
            if was != now
        ]
        for number, (name, was, now) in enumerate(found or [("payload", "other bytes", "its usual bytes")]):
            self._differs(kind, row, row.type, name, _text(was), _text(now), why, counts=number == 0)

    def _check_version(self, kind: str, recorded: Recorded) -> None:
        """Each row says under which version it was decided: the one in force on its chain."""
        for row in (*recorded.rows[:1], *recorded.elsewhere[:1]):
            state = self.book.programs.get((row.chain, row.program))
            version = "" if state is None else state.version
            if row.version != version:
                why = "the version in force on the chain"
                self._differs(kind, row, row.type, "program_version", row.version, version, why)

    def _budgets(self, recorded: Recorded) -> None:
        """A campaign's budget is one for all chains: what it had left is taken as it was recorded."""
        seen = set()
        for row in (*recorded.rows, *recorded.elsewhere):
            if row.type not in ("PointsAwarded", "AwardWithheld"):
                continue
            event = payloads.decode(row.type, row.payload)
            program = self.book.program(row.chain, row.program)
            if program is None or not isinstance(event, (PointsAwarded, AwardWithheld)):
                continue
            looked = isinstance(event, PointsAwarded) or event.reason in LOOKED_AT_BUDGET
            budget = program.social.budgets.get(event.campaign)
            if looked and budget is not None and event.campaign not in seen:
                seen.add(event.campaign)
                self.book.budgets[row.program, event.campaign] = budget - event.budget_left

    def _follow(self, rows: list[Row]) -> None:
        """Put rows into the book as they are recorded."""
        for row in rows:
            try:
                decided = Decided(payloads.decode(row.type, row.payload), row.member, row.occurred_at)
                self._learn(decided)
                evolve(self.book, row.chain, row.program, decided, row.position)
            except UNREADABLE as error:
                raise self._cannot(row, error) from error

    def _learn(self, decided: Decided) -> None:
        if isinstance(decided.event, ProgramActivated):
            self._programs.parsed(decided.event.version, decided.event.document)

    def _cannot(self, row: Row, error: Exception) -> CannotFollow:
        self._differs(row.type, row, row.type, "", "there", "no row that can follow", repr(error))
        return CannotFollow(f"{row.chain}-{row.position}: {error}")

    def _why(self, command: Command, decided: Decided | None) -> str:
        """The rule that decides: an accrual's arithmetic, and of the rest whose decision it is."""
        version = self.book.programs.get((command.chain, command.program))
        under = f", version {version.version}" if version else ""
        if decided is not None and isinstance(decided.event, PointsAccrued) and decided.event.amount:
            event = decided.event
            program = self.book.versions[event.version]
            steps = earning.explain(program, event.amount, event.tier, event.contributions, event.counters)
            return "; ".join(f"{step.rule}: {step.arithmetic}" for step in steps) + under
        decider = DECIDERS[type(command)]
        return f"{decider.__module__.rpartition('.')[2]}.{decider.__name__}{under}"

    def _differs(
        self,
        kind: str,
        row: Row,
        event: str,
        field: str,
        recorded: str,
        now: str,
        why: str,
        counts: bool = True,
    ) -> None:
        report = self.report
        if counts:
            report.differing[kind] += 1
        if len(report.differences) < DIFFERENCES_MAX:
            report.differences.append(
                Difference(
                    row.chain, row.position, row.program, row.member or "", event, field, recorded, now, why
                )
            )


def _same(row: Row, decided: Decided) -> bool:
    return (
        row.member == decided.member
        and row.occurred_at == decided.occurred_at
        and payloads.encode(decided.event) == (row.type, row.payload)
    )


def _fields(was: Any, now: Any) -> Iterator[tuple[str, Any, Any]]:
    for each in fields(was):
        yield each.name, getattr(was, each.name), getattr(now, each.name)


def _untold(row: Row) -> str:
    event: Any = payloads.decode(row.type, row.payload)
    return (
        f"refused {event.kind} ({event.code})" if row.type == "ActivityRejected" else "parked activity taken"
    )


def _name(decided: Decided) -> str:
    return type(decided.event).__name__


def _said(event: Any) -> str:
    return ", ".join(f"{name} {_text(value)}" for name, value, _ in _fields(event, event) if value)


def _text(value: Any) -> str:
    if isinstance(value, datetime):
        return value.astimezone(UTC).isoformat()
    if isinstance(value, (bytes, str)):
        return value.hex() if isinstance(value, bytes) else value
    return str(value)
