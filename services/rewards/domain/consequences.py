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
    # Without the member: they are found whoever that was merged into.
    source = (redemption.program, "", "redemption", redemption.id, redemption.pack.terms.id)
    return [voucher_id(*source, number) for number in range(1, redemption.pack.count + 1)]


def follow(
    redemption: Redemption, event: RedemptionEvent, vouchers: Mapping[str, Voucher], at: datetime
) -> list[VoucherStep]:
    """What comes behind `event`; `redemption` is as the event left it, `vouchers` are its own by id.

    Whoever heard of it, the client, the stream or the recovery: the vouchers come with the step. A voucher that is no
    longer where the redemption put it (used or given back by hand) stays where it is.
    """
    steps: list[VoucherStep] = []
    match event:
        case RedemptionRequested():
            steps += [VoucherHeld(p.voucher, redemption.order, p.discount) for p in redemption.vouchers]
        case RedemptionCaptured():
            steps += [
                VoucherUsed(paying.voucher, redemption.order, paying.discount)
                for paying in redemption.vouchers
                if _is_for(vouchers.get(paying.voucher), redemption, VoucherState.HELD)
            ]
            if redemption.pack is not None:
                steps += issued(redemption.pack, redemption.program, "", "redemption", redemption.id, at)
        case RedemptionCancelled() | RedemptionRefused():
            steps += _brought_back(redemption, vouchers, VoucherState.HELD)
        case RefundRequested() if redemption.left == (0, 0, 0):
            # Now, so that nobody uses them while the ledger is asked.
            given = [vouchers[id_] for id_ in pack_of(redemption) if id_ in vouchers]
            steps += [VoucherVoided(v.id, "refunded") for v in given if v.state in USABLE]
        case RedemptionRefunded(whole=True):
            steps += _brought_back(redemption, vouchers, VoucherState.USED)
    return steps


def _brought_back(
    redemption: Redemption, vouchers: Mapping[str, Voucher], state: VoucherState
) -> list[VoucherStep]:
    return [
        VoucherUnused(paying.voucher, redemption.order)
        for paying in redemption.vouchers
        if _is_for(vouchers.get(paying.voucher), redemption, state)
    ]


def _is_for(voucher: Voucher | None, redemption: Redemption, state: VoucherState) -> bool:
    return voucher is not None and voucher.state is state and voucher.order == redemption.order
