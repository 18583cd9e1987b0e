"""A voucher's life, and what is refused in it. The checks of each command are in order; the first that fails is told.

    issued -> used                      used -> issued | claimed   (the order was cancelled)
      |  `--> held -> used              held -> issued | claimed   (the same; held: for a redemption under way)
      |  `--> expired | voided          claimed -> used | expired | voided
      `--> gifted -> given              (another member has it, as `claimed`)
             `----> issued              (withdrawn, or nobody claimed it in time)
             `----> voided

A voucher that was given has one row for each of the two members, with one id: `given` for the one, `claimed` for the
other.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum

from services.common.errors import InvariantBroken, Refusal
from services.rewards.domain.voucher_events import (
    VoucherClaimed,
    VoucherExpired,
    VoucherGifted,
    VoucherGiftReturned,
    VoucherGiven,
    VoucherHeld,
    VoucherIssued,
    VoucherStep,
    VoucherUnused,
    VoucherUsed,
    VoucherVoided,
)
from services.rewards.domain.voucher_terms import Line, Pack, Terms, discount

VOUCHER_ID_DIGITS = 24


class VoucherState(StrEnum):
    """Where a voucher stands."""

    ISSUED = "issued"
    GIFTED = "gifted"
    GIVEN = "given"
    CLAIMED = "claimed"
    HELD = "held"
    USED = "used"
    EXPIRED = "expired"
    VOIDED = "voided"


S = VoucherState
USABLE = (S.ISSUED, S.CLAIMED)
TRANSITIONS: dict[type, tuple[VoucherState, ...]] = {
    VoucherGifted: (S.ISSUED,),
    VoucherGiftReturned: (S.GIFTED,),
    VoucherGiven: (S.GIFTED,),
    VoucherHeld: USABLE,
    VoucherUsed: (*USABLE, S.HELD),
    VoucherUnused: (S.USED, S.HELD),
    VoucherExpired: USABLE,
    VoucherVoided: (*USABLE, S.GIFTED),
}
"""The states that each event may come in."""

WHERE_IT_STANDS: dict[VoucherState, tuple[str, str]] = {
    S.GIFTED: ("voucher_gifted", "its code was given away and may be claimed: withdraw the gift first"),
    S.GIVEN: ("voucher_given", "another member has claimed it"),
    S.CLAIMED: ("voucher_claimed", "it was a gift itself: what was claimed can't be given on"),
    S.HELD: ("voucher_held", "it is set aside for an order: capture or cancel that redemption"),
    S.USED: ("voucher_already_used", "it was used for an order"),
    S.EXPIRED: ("voucher_expired", "its time is over"),
    S.VOIDED: ("voucher_voided", "it was taken back"),
    S.ISSUED: ("voucher_not_gifted", "it was not given away"),
}
"""Why something can't be done with a voucher that stands there."""


@dataclass(slots=True, frozen=True)
class Voucher:
    """One voucher of one member, as its events made it."""

    id: str
    program: str
    member: str
    terms: Terms
    state: VoucherState
    source: str
    source_id: str
    issued_at: datetime
    changed_at: datetime
    expires_at: datetime | None
    position: int
    """Of the journal row that began it, on the member's chain."""
    giver: str | None = None
    claimed_by: str | None = None
    code_sha256: bytes | None = None
    gift_until: datetime | None = None
    order: str | None = None
    discount: int | None = None

    @property
    def due_at(self) -> datetime | None:
        """When the clock alone changes it."""
        if self.state in USABLE:
            return self.expires_at
        return self.gift_until if self.state is S.GIFTED else None


def begin(
    program: str, member: str, event: VoucherIssued | VoucherClaimed, at: datetime, position: int
) -> Voucher:
    """The voucher that its first event makes."""
    claimed = isinstance(event, VoucherClaimed)
    return Voucher(
        id=event.voucher,
        program=program,
        member=member,
        terms=event.terms,
        state=S.CLAIMED if claimed else S.ISSUED,
        source="gift" if isinstance(event, VoucherClaimed) else event.source,
        source_id=event.giver if isinstance(event, VoucherClaimed) else event.source_id,
        issued_at=at,
        changed_at=at,
        expires_at=event.expires_at,
        position=position,
        giver=event.giver if isinstance(event, VoucherClaimed) else None,
    )


def evolve(voucher: Voucher, event: VoucherStep, at: datetime) -> Voucher:
    """The voucher after `event`.

    Raises:
        InvariantBroken: the event can't come in this state.
    """
    if voucher.state not in TRANSITIONS.get(type(event), ()):
        raise InvariantBroken(f"{type(event).__name__} can't come in state {voucher.state}")
    before = S.ISSUED if voucher.giver is None else S.CLAIMED
    match event:
        case VoucherGifted(code_sha256=code, until=until):
            return replace(voucher, state=S.GIFTED, code_sha256=code, gift_until=until, changed_at=at)
        case VoucherGiftReturned():
            return replace(voucher, state=before, code_sha256=None, gift_until=None, changed_at=at)
        case VoucherGiven(claimed_by=member):
            return replace(voucher, state=S.GIVEN, claimed_by=member, gift_until=None, changed_at=at)
        case VoucherHeld(order=order, discount=taken):
            return replace(voucher, state=S.HELD, order=order, discount=taken, changed_at=at)
        case VoucherUsed(order=order, discount=taken):
            return replace(voucher, state=S.USED, order=order, discount=taken, changed_at=at)
        case VoucherUnused():
            return replace(voucher, state=before, order=None, discount=None, changed_at=at)
        case VoucherExpired():
            return replace(voucher, state=S.EXPIRED, changed_at=at)
        case VoucherVoided():
            return replace(voucher, state=S.VOIDED, gift_until=None, changed_at=at)
    raise InvariantBroken(f"{type(event).__name__} is the first event of a voucher")


def issued(
    pack: Pack, program: str, member: str, source: str, source_id: str, at: datetime
) -> list[VoucherStep]:
    """A pack's vouchers. The same source gives them the same ids, which nobody else's have."""
    return [
        VoucherIssued(
            voucher_id(program, member, source, source_id, pack.terms.id, number),
            pack.terms, source, source_id, pack.terms.expires_at(at),
        )
        for number in range(1, pack.count + 1)
    ]  # fmt: skip


def voucher_id(program: str, member: str, source: str, source_id: str, kind: str, number: int) -> str:
    """The id of the `number`-th voucher of a kind that a source gives a member."""
    parts = (program, member, source, source_id, kind, number)
    return hashlib.sha256("/".join(map(str, parts)).encode()).hexdigest()[:VOUCHER_ID_DIGITS]


def use(
    voucher: Voucher | None, voucher_id: str, order: str, store: str, lines: Sequence[Line], present: datetime
) -> list[VoucherStep]:
    """Use it for an order. Refusals: unknown_voucher, where it stands, voucher_expired, then `discount`'s."""
    return [VoucherUsed(voucher_id, order, take(voucher, voucher_id, store, lines, present))]


def take(
    voucher: Voucher | None, voucher_id: str, store: str, lines: Sequence[Line], present: datetime
) -> int:
    """What it takes off an order that a redemption is to pay. Refusals: those of `use`."""
    voucher = _in(voucher, voucher_id, USABLE)
    _alive(voucher, present)
    return discount(voucher.terms, store, lines)


def unuse(voucher: Voucher | None, voucher_id: str, order: str) -> list[VoucherStep]:
    """Its order was cancelled. Refusals: unknown_voucher, voucher_not_used, voucher_used_for_another_order.

    Where its time is over meanwhile, the clock takes it next.
    """
    voucher = _known(voucher, voucher_id)
    if voucher.state is not S.USED:
        raise Refusal("voucher_not_used", f"it is {voucher.state}")
    if voucher.order != order:
        raise Refusal("voucher_used_for_another_order", "name the order that it was used for")
    return [VoucherUnused(voucher.id, order)]


def gift(
    voucher: Voucher | None, voucher_id: str, code_sha256: bytes, present: datetime
) -> list[VoucherStep]:
    """Give it away. Refusals: unknown_voucher, where it stands, voucher_expired, voucher_no_gift."""
    voucher = _in(voucher, voucher_id, (S.ISSUED,))
    _alive(voucher, present)
    if not voucher.terms.gift:
        raise Refusal("voucher_no_gift", "the program does not let this voucher be given away")
    until = present + timedelta(days=voucher.terms.claim_days)
    if voucher.expires_at is not None:
        until = min(until, voucher.expires_at)
    return [VoucherGifted(voucher.id, code_sha256, until)]


def withdraw(voucher: Voucher | None, voucher_id: str) -> list[VoucherStep]:
    """Take the gift back; its code is worth nothing. Refusals: unknown_voucher, where it stands."""
    voucher = _in(voucher, voucher_id, (S.GIFTED,))
    return [VoucherGiftReturned(voucher.id, "withdrawn")]


def void(voucher: Voucher | None, voucher_id: str, reason: str) -> list[VoucherStep]:
    """Take it from the member. Refusals: unknown_voucher, where it stands."""
    voucher = _in(voucher, voucher_id, (*USABLE, S.GIFTED))
    return [VoucherVoided(voucher.id, reason)]


def claim(
    voucher: Voucher | None, is_its_code: bool, member: str, present: datetime
) -> tuple[VoucherStep, VoucherStep]:
    """Take a gift: (what happens to the giver's, what the claimer has).

    Refusals: unknown_code (no such code, or the gift was taken back), gift_already_claimed, gift_over, own_gift.
    """
    if voucher is None or not is_its_code or voucher.state not in (S.GIFTED, S.GIVEN):
        raise Refusal("unknown_code", "no gift has this code: mind every letter; it may have been taken back")
    if voucher.state is S.GIVEN:
        raise Refusal("gift_already_claimed", "somebody has claimed this gift: a code is good once")
    if voucher.gift_until is not None and voucher.gift_until <= present:
        raise Refusal("gift_over", "nobody claimed this gift in time: it went back to the giver")
    if voucher.member == member:
        raise Refusal("own_gift", "a gift is for somebody else: withdraw it to have it back")
    return (
        VoucherGiven(voucher.id, member),
        VoucherClaimed(voucher.id, voucher.terms, voucher.member, voucher.expires_at),
    )


def lapse(voucher: Voucher, present: datetime) -> Iterator[tuple[VoucherStep, datetime]]:
    """What the clock does to it by `present`, each with its moment: a gift goes back, then a voucher expires."""
    if voucher.state is S.GIFTED and voucher.gift_until is not None and voucher.gift_until <= present:
        yield VoucherGiftReturned(voucher.id, "unclaimed"), voucher.gift_until
    elif voucher.state not in USABLE:
        return
    if voucher.expires_at is not None and voucher.expires_at <= present:
        # Brought back after its time (its order was cancelled): it goes when it came.
        yield VoucherExpired(voucher.id), max(voucher.expires_at, voucher.changed_at)


def _known(voucher: Voucher | None, voucher_id: str) -> Voucher:
    if voucher is None:
        raise Refusal("unknown_voucher", f"the member has no voucher {voucher_id!r}")
    return voucher


def _in(voucher: Voucher | None, voucher_id: str, states: Sequence[VoucherState]) -> Voucher:
    voucher = _known(voucher, voucher_id)
    if voucher.state not in states:
        code, detail = WHERE_IT_STANDS[voucher.state]
        raise Refusal(code, detail)
    return voucher


def _alive(voucher: Voucher, present: datetime) -> None:
    if voucher.expires_at is not None and voucher.expires_at <= present:
        code, detail = WHERE_IT_STANDS[S.EXPIRED]
        raise Refusal(code, detail)
