"""What the ledger takes from Kafka: activities from the outside, tiers from tiering."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime
from hashlib import sha256
from typing import Any

from aiokafka.structs import ConsumerRecord

from services.common.chain import chain_of
from services.common.clock import utc_now
from services.common.codec import StreamRow, decode_activity, decode_row, time_of, unseen
from services.common.consumer import Applied
from services.common.db import Transaction
from services.common.errors import Undecodable
from services.common.program_section import PROGRAM_ID
from services.ledger import wire
from services.ledger.domain.commands import (
    AssignTier,
    Cause,
    Command,
    Enrol,
    RecordInteraction,
    RecordPurchase,
    RecordReferral,
    RecordReturn,
    RecordTopUp,
    ReverseTopUp,
)
from services.ledger.handle import Outcome, handle
from services.ledger.profiles import content_of
from services.ledger.store import Programs, purchase_source
from tallybook.activities.v1 import activities_pb2 as activities

TIERS = "tiers.v1"

FIND_STREAM_POSITION = (
    "SELECT chain, position FROM stream_positions WHERE topic = $1 AND chain = ANY($2::smallint[])"
)
MOVE_STREAM_POSITION = """
INSERT INTO stream_positions (chain, topic, position)
SELECT chain, $1, position FROM unnest($2::smallint[], $3::bigint[]) AS k (chain, position)
ON CONFLICT (chain, topic) DO UPDATE SET position = EXCLUDED.position
"""


def command_of(message: Any, identifiers: wire.Identifiers, chains: int, now: datetime) -> Command:
    """The command in an activity that came at `now`, whichever road it took. Raises Undecodable."""
    program = message.program
    if not PROGRAM_ID.fullmatch(program):
        raise Undecodable("program must be 1 to 64 of a-z, 0-9, _ and -")
    member = identifiers.reference(message.member)
    chain = chain_of(member, chains)
    if isinstance(message, activities.Enrolment):
        return _enrolment(message, member, chain, identifiers, now)
    if isinstance(message, activities.Referral):
        return _referral(message, member, chain, identifiers, chains, now)
    content = wire.bare(message)
    digest = sha256(content).digest()
    if isinstance(message, activities.Purchase):
        purchase = wire.purchase_of(message, wire.named(content, member))
        wire.check_texts(message, content, purchase.lines)
        wire.bounded(message.currency, "currency")
        wire.bounded(message.payment_method, "payment_method")
        cause = Cause(purchase_source(program), purchase.id, digest)
        return RecordPurchase(program, member, chain, cause, now, purchase)
    if isinstance(message, activities.TopUp):
        wire.check_texts(message, content, [])
        top_up = wire.top_up_of(message, wire.named(content, member))
        return RecordTopUp(program, member, chain, Cause(f"{program}/top_up", top_up.id, digest), now, top_up)
    if isinstance(message, activities.TopUpReversal):
        wire.check_texts(message, content, [])
        undone = wire.top_up_reversal_of(message, wire.named(content, member))
        cause = Cause(f"{program}/top_up_reversal", undone.id, digest)
        return ReverseTopUp(program, member, chain, cause, now, undone)
    if isinstance(message, activities.Interaction):
        return _interaction(message, member, chain, Cause(f"{program}/interaction", message.id, digest), now)
    activity = wire.return_of(message, wire.named(content, member))
    wire.check_texts(message, content, [])
    cause = Cause(f"{program}/return", activity.id, digest)
    return RecordReturn(program, member, chain, cause, now, activity)


def _enrolment(message: Any, member: str, chain: int, identifiers: wire.Identifiers, now: datetime) -> Enrol:
    hashed = []
    for identifier in message.identifiers:
        if not wire.IDENTIFIER.fullmatch(f"{identifier.kind}:{identifier.value}"):
            raise Undecodable(
                "an identifier has a kind of a-z and _ (32 at most) and a value of 1 to 200 characters"
            )
        hashed.append((identifier.kind, identifiers.digest(identifier.kind, identifier.value)))
    occurred_at = time_of(message.occurred_at) if message.HasField("occurred_at") else None
    digest = wire.enrolment_digest(hashed, occurred_at)
    profile = None
    if message.HasField("profile"):
        content = content_of(message.profile)
        digest = sha256(digest + identifiers.profile_digest(content)).digest()
        profile = identifiers.sealer.seal(message.program, content)
    # Without an id its content is its id: the same enrolment again is the same, one with more identifiers is another.
    id_ = wire.required_id(message.id or f"{member}:{digest.hex()[:16]}", "id")
    cause = Cause(f"{message.program}/enrolment", id_, digest)
    return Enrol(message.program, member, chain, cause, now, occurred_at or now, hashed, profile)


def _interaction(message: Any, member: str, chain: int, cause: Cause, now: datetime) -> RecordInteraction:
    for field in ("kind", "content", "channel", "store"):
        wire.bounded(getattr(message, field), field)
    return RecordInteraction(
        message.program, member, chain, cause, now, wire.required_id(message.id, "id"), wire.required_time(message),
        message.kind, message.content, message.channel, message.store,
    )  # fmt: skip


def _referral(
    message: Any, member: str, chain: int, identifiers: wire.Identifiers, chains: int, now: datetime
) -> RecordReferral:
    wire.bounded(message.step, "step")
    wire.bounded(message.task, "task")
    # A task is the referee's own. Whoever referred goes no further in clear than the referee does.
    message.referrer = (
        identifiers.reference(message.referrer, "referrer") if message.step == "registered" else ""
    )
    digest = sha256(wire.bare(message)).digest()
    cause = Cause(f"{message.program}/referral", wire.required_id(message.id, "id"), digest)
    return RecordReferral(
        message.program, member, chain, cause, now, message.id, wire.required_time(message), message.referrer,
        chain_of(message.referrer, chains), message.step, message.task,
    )  # fmt: skip


def count(outcomes: Sequence[Outcome]) -> Applied:
    """What became of a batch, in numbers."""
    applied = Applied()
    for outcome in outcomes:
        if outcome.duplicate:
            applied.duplicates += 1
        elif outcome.refusal is not None:
            applied.rejected += 1
        else:
            applied.recorded += 1
    return applied


class Activities:
    """Every topic but our own streams: written by anybody, so anything may be in them."""

    own_stream = False

    def __init__(
        self, identifiers: wire.Identifiers, programs: Programs, chains: int, wake: Callable[[], None]
    ) -> None:
        self._identifiers = identifiers
        self._programs = programs
        self._chains = chains
        self._wake = wake

    def decode(self, record: ConsumerRecord, now: datetime) -> Command:
        """The command in a record. Raises Undecodable."""
        message = decode_activity(record.headers, record.value, wire.ACTIVITY_TYPES)
        return command_of(message, self._identifiers, self._chains, now)

    async def apply(self, tx: Transaction, partition: int, items: Sequence[Command]) -> Applied:
        """Decide and write a batch."""
        return count(await handle(tx, items, self._programs, self._chains, utc_now()))

    def committed(self) -> None:
        """There are new rows to relay."""
        self._wake()


def _is_another_tier(message: Any) -> bool:
    """A review that keeps the tier is published too; for earning it says nothing new."""
    return message is not None and message.from_tier != message.to_tier


class Tiers:
    """tiers.v1: our own stream, gapless by chain."""

    own_stream = True

    def __init__(self, programs: Programs, chains: int, wake: Callable[[], None]) -> None:
        self._programs = programs
        self._chains = chains
        self._wake = wake

    def decode(self, record: ConsumerRecord, now: datetime) -> StreamRow:
        """The row of tiering's journal in a record."""
        return decode_row(record.headers, record.value, wire.TIER_TYPES)

    async def apply(self, tx: Transaction, partition: int, items: Sequence[StreamRow]) -> Applied:
        """Note which tier who has since when."""
        rows = await tx.fetch(FIND_STREAM_POSITION, TIERS, [partition])
        applied = {row["chain"]: row["position"] for row in rows}
        fresh = unseen(items, applied)
        commands = [self._command(row) for row in fresh if _is_another_tier(row.message)]
        if commands:
            await handle(tx, commands, self._programs, self._chains, utc_now())
        if fresh:
            await tx.execute(MOVE_STREAM_POSITION, TIERS, list(applied), list(applied.values()))
        return Applied(recorded=len(fresh), duplicates=len(items) - len(fresh))

    def _command(self, row: StreamRow) -> AssignTier:
        message: Any = row.message
        member = row.member or ""
        cause = Cause("tallybook/tiering", f"{row.chain}-{row.position}")
        return AssignTier(
            row.program,
            member,
            chain_of(member, self._chains),
            cause,
            utc_now(),
            message.to_tier,
            time_of(message.since),
            row.position,
        )

    def committed(self) -> None:
        """There are new rows to relay."""
        self._wake()
