"""Takes what tiering itself is told: a tier given by hand, and taken back. One request is one transaction on one chain.

The chain's head is locked before anything is read, as for a batch of the ledger's rows: so each grant stands between
two rows of the ledger, and its journal row says which (docs/decisions/tiers.md).
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from services.common.chain import chain_of, spread
from services.common.clock import utc_now
from services.common.db import Transaction, Writer
from services.common.errors import Refusal
from services.common.journal import Journal
from services.tiering import merging, store
from services.tiering.domain.events import MemberTagged, TierGranted, TierGrantRevoked, Told
from services.tiering.domain.grants import BY_HAND
from services.tiering.domain.program import Rules
from services.tiering.domain.state import Member
from services.tiering.project import LEDGER_TOPIC, apply_told
from services.tiering.wire import payload_of

GRANTS_MAX = 20
"""Grants by hand that one member can have at a time."""

PROGRAM_KNOWN = "SELECT true FROM programs WHERE chain = $1 AND program = $2 AND refusal IS NULL LIMIT 1"
SEEN = "SELECT digest FROM inbox WHERE chain = $1 AND source = $2 AND event_id = $3"
REMEMBER = """
INSERT INTO inbox (chain, source, event_id, digest, journal_chain, position, member) VALUES ($1, $2, $3, $4, $5, $6, $7)
"""


@dataclass(slots=True, frozen=True)
class Place:
    """Where a request is decided: the chain's state under its lock."""

    rules: Rules
    member: Member
    now: datetime
    ledger_position: int


class Grants:
    """Gives tiers by hand and takes them back."""

    def __init__(self, writer: Writer, chains: int, decided: Callable[[], None] = lambda: None) -> None:
        """`decided` is called after each commit: the relay has something to publish."""
        self._writer = writer
        self._chains = chains
        self._decided = decided

    async def grant(
        self, program: str, member: str, request: str, tier: str, until: datetime, reason: str
    ) -> bool:
        """Give a tier until `until`; `request` becomes the grant's id. True when the same was asked before.

        Raises:
            Refusal: id_reused, unknown_program, not_tiered, unknown_member, member_closed, unknown_tier,
                ends_in_the_past, too_many_grants.
        """
        digest = _digest("grant", member, tier, until.isoformat(), reason)

        def decide(place: Place) -> Told:
            names = [each.name for each in place.rules.tiers[1:]]
            if tier not in names:
                raise Refusal("unknown_tier", f"no tier {tier!r} to be given; one of {', '.join(names)}")
            if until <= place.now:
                raise Refusal(
                    "ends_in_the_past", f"it is {place.now.isoformat()} in the program: name a later `until`"
                )
            if sum(grant.id.startswith(BY_HAND) for grant in place.member.grants) >= GRANTS_MAX:
                raise Refusal(
                    "too_many_grants", f"the member has {GRANTS_MAX} grants by hand: take one back first"
                )
            return TierGranted(request, tier, until, reason, place.ledger_position)

        return await self._take(program, member, ("tier_grant", request, digest), decide)

    async def revoke(self, program: str, member: str, grant: str, request: str, reason: str) -> bool:
        """Take a grant back. True when the same was asked before.

        Raises:
            Refusal: id_reused, unknown_program, not_tiered, unknown_member, unknown_grant.
        """
        digest = _digest("revoke", member, grant, reason)

        def decide(place: Place) -> Told:
            if all(each.id != BY_HAND + grant for each in place.member.grants):
                raise Refusal("unknown_grant", f"the member has no grant {grant!r}, or it has ended")
            return TierGrantRevoked(grant, reason, place.ledger_position)

        return await self._take(program, member, ("tier_grant_revocation", request, digest), decide)

    async def tag(self, program: str, member: str, request: str, tag: str, set_: bool, reason: str) -> bool:
        """Set a tag or take it away. True when the same was asked before.

        Raises:
            Refusal: id_reused, unknown_program, not_tiered, unknown_member, not_segmented, unknown_tag.
        """
        digest = _digest("tag", member, tag, str(set_), reason)

        def decide(place: Place) -> Told:
            segments = place.rules.segments
            if segments is None:
                raise Refusal(
                    "not_segmented", f"program {program!r} has no segments: tiering.segments is missing"
                )
            if set_ and tag not in segments.tags:
                raise Refusal(
                    "unknown_tag", f"no tag {tag!r} in the program; one of {', '.join(segments.tags)}"
                )
            return MemberTagged(request, tag, set_, reason, place.ledger_position)

        return await self._take(program, member, ("member_tag", request, digest), decide)

    async def _take(
        self, program: str, member: str, asked: tuple[str, str, bytes], decide: Callable[[Place], Told]
    ) -> bool:
        kind, request, digest = asked
        source = f"{program}/{kind}"
        recorded_at, chain = utc_now(), chain_of(member, self._chains)
        inbox_chain = spread(f"{source}/{request}".encode(), self._chains)
        async with self._writer.transaction() as tx:
            journal = await Journal.lock(tx, [chain], payload_of)
            before = await tx.fetchval(SEEN, inbox_chain, source, request)
            if before is not None:
                if before != digest:
                    raise Refusal(
                        "id_reused",
                        f"Idempotency-Key {request!r} was used for another request: take a new one",
                    )
                return True
            place = await self._place(tx, chain, program, member, recorded_at)
            position = await apply_told(
                tx, journal, chain, program, member, decide(place), place.now, recorded_at,
                (source, request, digest), place.rules.version,
            )  # fmt: skip
            await tx.execute(REMEMBER, inbox_chain, source, request, digest, chain, position, member)
        self._decided()
        return False

    async def _place(self, tx: Transaction, chain: int, program: str, name: str, wall: datetime) -> Place:
        position = await store.position(tx, chain, LEDGER_TOPIC)
        found = (await store.load_programs(tx, chain, [program])).get(program)
        if found is None:
            if await tx.fetchval(PROGRAM_KNOWN, chain, program):
                raise Refusal("not_tiered", f"program {program!r} has no tiers")
            raise Refusal(
                "unknown_program", f"no program {program!r} is active here; activate it at the ledger first"
            )
        member = await store.find_member(tx, chain, found.rules, name)
        if member is None:
            into = (await merging.survivor(tx, program, name))[1]
            if into != name:
                raise Refusal("member_merged", f"member {name!r} was merged into {into!r}: name that one")
            raise Refusal("unknown_member", f"no member {name!r} in program {program!r}")
        if member.closed:
            raise Refusal("member_closed", f"member {name!r} was closed, for good")
        clock = found.clock or member.as_of
        now = max(member.as_of, clock if found.rules.runs_on_events else max(clock, wall))
        return Place(found.rules, member, now, position)


def _digest(*content: str) -> bytes:
    """What a request asks for, so that a reused key with other content is told apart."""
    return hashlib.sha256(json.dumps(content, separators=(",", ":")).encode()).digest()
