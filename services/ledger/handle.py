"""Takes a batch of commands: idempotency first, then the decision, then the rows. One batch, one transaction.

Kafka's batches and HTTP's commands come through here alike, so they can't count differently.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime

from services.common.chain import chain_of
from services.common.db import Transaction
from services.common.errors import Refusal
from services.ledger import parking, store, wire
from services.ledger.domain import retries
from services.ledger.domain.clock import tick_before
from services.ledger.domain.commands import (
    ActivateProgram,
    Command,
    Enrol,
    RecordPurchase,
    RecordReferral,
    RecordReturn,
    SetProfile,
)
from services.ledger.domain.decide import run
from services.ledger.domain.events import (
    ActivityParked,
    ActivityRejected,
    ActivityUnparked,
    Decided,
    MemberEnrolled,
)
from services.ledger.heirs import follow
from services.ledger.identifiers import find_identifiers
from services.ledger.inbox import Seen, inbox_chain

KINDS = {
    "RecordPurchase": "purchase",
    "RecordReturn": "return",
    "Enrol": "enrolment",
    "PlaceHold": "hold",
    "CaptureHold": "capture",
    "ReleaseHold": "release",
    "RefundSpend": "refund",
    "Adjust": "adjustment",
    "ApproveAdjustment": "adjustment_approval",
    "DeclineAdjustment": "adjustment_decline",
    "UnlinkIdentifiers": "unlinking",
    "SuspendMember": "suspension",
    "ReactivateMember": "reactivation",
    "CloseMember": "closing",
    "AssignTier": "tier",
    "MergeMembers": "merge",
    "SetProfile": "profile",
    "EraseMember": "erasure",
    "RecordInteraction": "interaction",
    "RecordReferral": "referral",
    "RewardReferral": "referral_reward",
    "AdvanceClock": "clock",
    "ActivateProgram": "program",
    "RecordTopUp": "top_up",
    "ReverseTopUp": "top_up_reversal",
    "SendGift": "gift",
    "AwardMoney": "money_award",
    "TakeBackMoney": "money_taken_back",
}
DETAIL_CHARS_MAX = 500
SLICE = 50
"""So many commands are decided before others get their turn: requests, and transactions whose answers are there."""


@dataclass(slots=True)
class Outcome:
    """What became of a command: events with their positions, a refusal, or the first outcome of the same request."""

    command: Command
    chain: int
    position: int
    """The first row that it led to; 0 when it led to none."""
    events: list[tuple[int, Decided]]
    refusal: tuple[str, str] | None = None
    """(code, detail)"""
    duplicate: bool = False
    balance: tuple[int, int, int, int] | None = None
    """The member's posted, held, debt and pending right after it."""
    parked: bool = False
    """It waits for its member to enrol."""


async def handle(
    tx: Transaction, commands: Sequence[Command], programs: store.Programs, chains: int, recorded_at: datetime
) -> list[Outcome]:
    """Decide every command in order and write what follows, in the caller's transaction."""
    await _resolve(tx, commands, chains)
    if programs.heirs or programs.parking:
        for command in commands:
            follow(command, programs.heirs, chains)
            parking.widen(command, programs.parking, chains)
    for command in commands:
        if isinstance(command, ActivateProgram):
            programs.parsed(command.version, command.document)
    loaded = await store.load(tx, commands, programs, chains)
    outcomes: list[Outcome] = []
    for first in range(0, len(commands), SLICE):
        outcomes += decide_batch(loaded, commands[first : first + SLICE], recorded_at)
        await asyncio.sleep(0)
    await store.save(tx, loaded)
    return outcomes


def decide_batch(loaded: store.Loaded, commands: Sequence[Command], recorded_at: datetime) -> list[Outcome]:
    """What follows from the commands, in order, put into `loaded`; nothing is written yet."""
    outcomes = []
    first = len(loaded.journal.entries)
    for command in commands:
        seen = (
            loaded.seen.get((command.cause.source, command.cause.id))
            if command.cause.digest is not None
            else None
        )
        if seen is not None:
            outcomes.append(_again(loaded, command, seen, recorded_at))
            continue
        tick = tick_before(loaded.book, command)
        if tick is not None:
            _take(loaded, tick, recorded_at)
        outcome = _take(loaded, command, recorded_at)
        outcomes.append(outcome)
        if isinstance(command, (Enrol, SetProfile)) and command.profile is not None:
            loaded.changes.profile_keys[command.profile.sealed] = command.profile.key
        if outcome.parked and isinstance(command, (RecordPurchase, RecordReturn)):
            kept = parking.Parked(outcome.chain, outcome.position, recorded_at, command)
            loaded.waiting.setdefault((command.program, command.member), []).append(kept)
        elif loaded.waiting and outcome.refusal is None and _joined(outcome):
            _apply(loaded, outcome, recorded_at)
    for chain, position, program, member, event, _, _, _, _, _, _ in loaded.journal.entries[first:]:
        loaded.changes.note(chain, program, member, event, position)
    return outcomes


async def _resolve(tx: Transaction, commands: Sequence[Command], chains: int) -> None:
    """Members named by an identifier get their id and chain; those whom nobody knows keep the identifier's hash."""
    named = [c for c in commands if ":" in c.member and not isinstance(c, Enrol)]
    referring = [c for c in commands if isinstance(c, RecordReferral) and ":" in c.referrer]
    if not named and not referring:
        return
    wanted = [_identifier(c.program, c.member) for c in named]
    wanted_too = [_identifier(c.program, c.referrer) for c in referring]
    found = await find_identifiers(tx, wanted + wanted_too, chains)
    for command, key in zip(named, wanted, strict=True):
        if key in found:
            wire.rename(command, found[key])
            command.chain = chain_of(command.member, chains)
    for referral, key in zip(referring, wanted_too, strict=True):
        if key in found:
            referral.referrer = found[key]
            referral.referrer_chain = chain_of(referral.referrer, chains)


def _identifier(program: str, reference: str) -> tuple[str, bytes]:
    return program, bytes.fromhex(reference.partition(":")[2])


def _take(loaded: store.Loaded, command: Command, recorded_at: datetime) -> Outcome:
    """A command for the first time."""
    program, journal = command.program, loaded.journal
    cause = (command.cause.source, command.cause.id, command.cause.digest)
    version = _version(loaded, command.chain, program)

    def append(decided: Decided) -> int:
        nonlocal cause
        chain, of_chain = command.chain, version
        if decided.chain is not None and decided.chain != chain:
            chain, of_chain = decided.chain, _version(loaded, decided.chain, program)
        position = journal.append(
            chain, program, decided.member, decided.event, decided.occurred_at, recorded_at, cause, of_chain
        )
        # The digest stands on the first row of a command only; it marks where the rows of a command begin.
        cause = (cause[0], cause[1], None)
        return position

    refusal = None
    try:
        events = run(loaded.book, command, append)
    except Refusal as refused:
        refusal = (refused.code, refused.detail)
        events = _refuse(loaded, command, refused.code, refused.detail, append)
    position = events[0][0] if events else 0
    member = loaded.book.members.get((command.program, command.member))
    parked = member is None and bool(events) and isinstance(events[0][1].event, ActivityParked)
    if command.cause.digest is not None:
        code = refusal[0] if refusal else parking.PARKED if parked else None
        _remember(loaded, command, command.cause.digest, position, code, events)
    balance = None if member is None else (member.posted, member.held, member.debt, member.pending)
    return Outcome(command, command.chain, position, events, refusal, False, balance, parked)


def _joined(outcome: Outcome) -> bool:
    """Somebody has become a member, or is known by more identifiers."""
    first = outcome.events[0][1].event if outcome.events else None
    return isinstance(outcome.command, Enrol) or isinstance(first, MemberEnrolled)


def _apply(loaded: store.Loaded, joining: Outcome, recorded_at: datetime) -> None:
    """What waited for the member is taken now, like any late activity; each row says where it went."""
    for parked in parking.waiting_for(joining.command, loaded.waiting):
        command = parked.of(joining.command)
        tick = tick_before(loaded.book, command)
        if tick is not None:
            _take(loaded, tick, recorded_at)
        outcome = _take(loaded, command, recorded_at)
        code = outcome.refusal[0] if outcome.refusal else None
        cause, program = command.cause, command.program
        loaded.journal.append(
            parked.chain, program, None,
            ActivityUnparked(parked.position, command.member, outcome.chain, outcome.position, code or ""),
            joining.events[0][1].occurred_at, recorded_at, (cause.source, cause.id, None),
            _version(loaded, parked.chain, program),
        )  # fmt: skip
        seen = loaded.seen.get((cause.source, cause.id))
        if seen is not None:
            loaded.seen[cause.source, cause.id] = Seen(
                seen.digest, command.member, outcome.chain, outcome.position, code
            )
    for _, name in parking.references(joining.command):
        loaded.waiting.pop((joining.command.program, name), None)


def _version(loaded: store.Loaded, chain: int, program: str) -> str:
    """The version in force on a chain; empty where no program is active yet."""
    state = loaded.book.programs.get((chain, program))
    return "" if state is None else state.version


def _refuse(
    loaded: store.Loaded, command: Command, code: str, detail: str, append: Callable[[Decided], int]
) -> list[tuple[int, Decided]]:
    known = (command.program, command.member) in loaded.book.members
    rejected = ActivityRejected(KINDS[type(command).__name__], code, detail[:DETAIL_CHARS_MAX])
    decided = Decided(rejected, command.member if known else None, command.now)
    return [(append(decided), decided)]


def _remember(
    loaded: store.Loaded,
    command: Command,
    digest: bytes,
    position: int,
    code: str | None,
    events: list[tuple[int, Decided]],
) -> None:
    cause = command.cause
    first = events[0][1] if code is None and isinstance(command, retries.COMPARED) else None
    loaded.seen[cause.source, cause.id] = Seen(digest, command.member, command.chain, position, code, first)
    place = inbox_chain(cause.source, cause.id, loaded.chains)
    loaded.inbox_rows.append(
        (place, cause.source, cause.id, digest, command.chain, position, command.member, code)
    )


def _absorbed(loaded: store.Loaded, command: Command, member: str | None) -> bool:
    survivor = loaded.book.members.get((command.program, command.member))
    return survivor is not None and member in survivor.absorbed


def _again(loaded: store.Loaded, command: Command, seen: Seen, recorded_at: datetime) -> Outcome:
    """The same request again changes nothing; another one under its id is refused, and that is recorded."""
    # A request refused for want of its member is the same request when the identifier is known by now.
    # And one that was taken for a member who has been merged into this one since.
    same_member = (
        seen.member == command.member
        or seen.rejection == "unknown_member"
        or _absorbed(loaded, command, seen.member)
    )
    kind, cause = KINDS[type(command).__name__], command.cause
    different: tuple[str, str] | None = (
        "id_reused",
        f"{kind} {cause.id!r} was sent before with other content: give the new one an id of its own",
    )
    if seen.digest == cause.digest and same_member:
        different = None
    elif seen.first is not None:
        different = retries.difference(loaded.book, seen.first, command)
    if different is None:
        refusal = None if seen.rejection in (None, parking.PARKED) else (seen.rejection, "")
        return Outcome(command, seen.chain, seen.position, [], refusal, duplicate=True)
    code, detail = different
    rejected = Decided(ActivityRejected(kind, code, detail[:DETAIL_CHARS_MAX]), None, command.now)
    position = loaded.journal.append(
        command.chain, command.program, None, rejected.event, command.now, recorded_at,
        (cause.source, cause.id, cause.digest), _version(loaded, command.chain, command.program),
    )  # fmt: skip
    return Outcome(command, command.chain, position, [(position, rejected)], (code, detail))
