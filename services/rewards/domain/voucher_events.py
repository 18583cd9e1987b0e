"""What the rewards journal says of vouchers. The same words as `proto/tallybook/rewards/v1/vouchers.proto`."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from services.rewards.domain.voucher_terms import Terms


@dataclass(slots=True, frozen=True)
class VoucherIssued:
    """`source`: ops | redemption | grant | draw; `source_id` is what there led to it."""

    voucher: str
    terms: Terms
    source: str
    source_id: str
    expires_at: datetime | None


@dataclass(slots=True, frozen=True)
class VoucherGifted:
    """Whoever brings the code that has this SHA-256 before `until` has the voucher."""

    voucher: str
    code_sha256: bytes
    until: datetime


@dataclass(slots=True, frozen=True)
class VoucherGiftReturned:
    """`reason`: withdrawn | unclaimed."""

    voucher: str
    reason: str


@dataclass(slots=True, frozen=True)
class VoucherGiven:
    """On the giver's chain: `claimed_by` has it now."""

    voucher: str
    claimed_by: str


@dataclass(slots=True, frozen=True)
class VoucherClaimed:
    """On the chain of whoever claimed it, with all that the giver's voucher was."""

    voucher: str
    terms: Terms
    giver: str
    expires_at: datetime | None


@dataclass(slots=True, frozen=True)
class VoucherHeld:
    """Set aside for an order that is being paid; `discount`: what it takes off, in minor units."""

    voucher: str
    order: str
    discount: int


@dataclass(slots=True, frozen=True)
class VoucherUsed:
    """`discount`: what it took off, in minor units."""

    voucher: str
    order: str
    discount: int


@dataclass(slots=True, frozen=True)
class VoucherUnused:
    """The order it was used or held for was cancelled."""

    voucher: str
    order: str


@dataclass(slots=True, frozen=True)
class VoucherExpired:
    voucher: str


@dataclass(slots=True, frozen=True)
class VoucherVoided:
    voucher: str
    reason: str


@dataclass(slots=True, frozen=True)
class VoucherClaimRefused:
    """Somebody brought a code that is no good; the member is the one it was brought for. The code is not kept."""

    api_key: str
    code: str
    """Why: the code of the refusal."""


VoucherStep = (
    VoucherIssued | VoucherGifted | VoucherGiftReturned | VoucherGiven | VoucherClaimed | VoucherHeld
    | VoucherUsed | VoucherUnused | VoucherExpired | VoucherVoided
)  # fmt: skip
"""Changes one voucher."""
VoucherEvent = VoucherStep | VoucherClaimRefused
