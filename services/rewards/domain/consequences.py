"""What a step of a redemption does to vouchers: the one that pays for it, and those that it gives."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

from services.rewards.domain.events import (
    RedemptionCancelled,
    RedemptionCaptured,
    RedemptionEvent,
    RedemptionRefused,
    RedemptionRequested,
)
from services.rewards.domain.redemption import Redemption
from services.rewards.domain.refund_events import RedemptionRefunded, RefundRequested
from services.rewards.domain.voucher_events import (
    VoucherHeld,
    VoucherStep,
    VoucherUnused,
    VoucherUsed,
    VoucherVoided,
)
from services.rewards.domain.vouchers import USABLE, Voucher, VoucherState, issued, voucher_id


def pack_of(redemption: Redemption) -> list[str]:
    """The ids of the vouchers that the redemption gives."""
    if redemption.pack is None:
        return []
    source = (redemption.program, redemption.member, "redemption", redemption.id, redemption.pack.terms.id)
    return [voucher_id(*source, number) for number in range(1, redemption.pack.count + 1)]


def follow(
    redemption: Redemption, event: RedemptionEvent, vouchers: Mapping[str, Voucher], at: datetime
) -> list[VoucherStep]:
    """What comes behind `event`; `redemption` is as the event left it, `vouchers` are its own by id.

    Whoever heard of it, the client, the stream or the recovery: the vouchers come with the step. A voucher that is no
    longer where the redemption put it (used or given back by hand) stays where it is.
    """
    steps: list[VoucherStep] = []
    paying = vouchers.get(redemption.voucher) if redemption.voucher else None
    match event:
        case RedemptionRequested(voucher=voucher) if voucher:
            steps.append(VoucherHeld(voucher, redemption.order, redemption.discount))
        case RedemptionCaptured():
            if paying is not None and _is_for(paying, redemption, VoucherState.HELD):
                steps.append(VoucherUsed(paying.id, redemption.order, redemption.discount))
            if redemption.pack is not None:
                steps += issued(
                    redemption.pack, redemption.program, redemption.member, "redemption", redemption.id, at
                )
        case RedemptionCancelled() | RedemptionRefused():
            if paying is not None and _is_for(paying, redemption, VoucherState.HELD):
                steps.append(VoucherUnused(paying.id, redemption.order))
        case RefundRequested() if redemption.left == (0, 0, 0):
            # Now, so that nobody uses them while the ledger is asked.
            given = [vouchers[id_] for id_ in pack_of(redemption) if id_ in vouchers]
            steps += [VoucherVoided(v.id, "refunded") for v in given if v.state in USABLE]
        case RedemptionRefunded(whole=True):
            if paying is not None and _is_for(paying, redemption, VoucherState.USED):
                steps.append(VoucherUnused(paying.id, redemption.order))
    return steps


def _is_for(voucher: Voucher, redemption: Redemption, state: VoucherState) -> bool:
    return voucher.state is state and voucher.order == redemption.order
