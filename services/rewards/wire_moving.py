"""What moves with a merge, between the domain and the messages on rewards.v1. Whose it is says the row."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from google.protobuf.message import Message

from services.common.codec import time_of
from services.rewards import wire_redemptions, wire_vouchers
from services.rewards.domain import moving
from services.rewards.domain.awards import Award, AwardState
from services.rewards.domain.draws import Player
from services.rewards.domain.events import RedemptionRequested
from services.rewards.domain.grants import Progress
from services.rewards.domain.redemption import Redemption, State
from services.rewards.domain.vouchers import Voucher, VoucherState
from services.rewards.wire_vouchers import timestamp
from tallybook.rewards.v1 import events_pb2 as rewards

NOBODY = ""
"""Program and member of what was read, until it is put into its row's."""
REQUESTED = tuple(name for name in RedemptionRequested.__dataclass_fields__ if name != "redemption")
PLAYER = tuple(Player.__dataclass_fields__)


def message_of(event: moving.HoldingsLeft | moving.Arrival) -> Message:
    """The message of one of our journal's rows."""
    match event:
        case moving.HoldingsLeft():
            grants = [rewards.GrantSlot(grant=grant, slot=slot) for grant, slot in event.grants]
            return rewards.HoldingsLeft(
                into=event.into, vouchers=event.vouchers, redemptions=event.redemptions, awards=event.awards,
                draws=event.draws, grants=grants,
            )  # fmt: skip
        case moving.VoucherMoved(from_, v):
            return rewards.VoucherMoved(
                **{"from": from_}, voucher=v.id, terms=wire_vouchers.terms_message(v.terms), state=str(v.state),
                source=v.source, source_id=v.source_id, issued_at=timestamp(v.issued_at),
                changed_at=timestamp(v.changed_at), expires_at=timestamp(v.expires_at), giver=v.giver,
                code_sha256=v.code_sha256, gift_until=timestamp(v.gift_until), order=v.order, discount=v.discount,
            )  # fmt: skip
        case moving.RedemptionMoved(from_, r):
            requested = RedemptionRequested(r.id, **{name: getattr(r, name) for name in REQUESTED})
            asked: Any = wire_redemptions.message_of(requested)
            return rewards.RedemptionMoved(
                **{"from": from_}, requested=asked, version=r.version,
                state=str(r.state), requested_at=timestamp(r.requested_at), changed_at=timestamp(r.changed_at),
                expires_at=timestamp(r.expires_at), code=r.code, detail=r.detail,
                refunds=rewards.Refunds.FromString(wire_redemptions.refunds_bytes(r.id, r.refunds)),
            )  # fmt: skip
        case moving.AwardMoved(from_, a):
            return rewards.AwardMoved(
                **{"from": from_}, award=a.id, points=a.points, money=a.money, currency=a.currency, source=a.source,
                source_id=a.source_id, state=str(a.state), promised_at=timestamp(a.promised_at),
                changed_at=timestamp(a.changed_at), code=a.code, detail=a.detail,
            )  # fmt: skip
        case moving.GrantMoved():
            return rewards.GrantMoved(
                **{"from": event.from_}, grant=event.grant, slot=event.slot, settled=event.settled,
                purchases=event.progress.purchases, amount=event.progress.amount,
            )  # fmt: skip
        case moving.PlayerMoved(from_, draw, player):
            values: dict[str, Any] = {name: getattr(player, name) for name in PLAYER} | {"from": from_}
            return rewards.PlayerMoved(draw=draw, **values)


def event_of(type_: str, message: Any) -> moving.HoldingsLeft | moving.Arrival | None:
    """The event in a message; None for what is not about a merge."""
    from_ = getattr(message, "from", "")
    match type_:
        case "HoldingsLeft":
            return moving.HoldingsLeft(
                message.into, tuple(message.vouchers), tuple(message.redemptions), tuple(message.awards),
                tuple(message.draws), tuple((part.grant, part.slot) for part in message.grants),
            )  # fmt: skip
        case "VoucherMoved":
            return moving.VoucherMoved(from_, _voucher(message))
        case "RedemptionMoved":
            return moving.RedemptionMoved(from_, _redemption(message))
        case "AwardMoved":
            award = Award(
                message.award, NOBODY, NOBODY, message.points, message.source, message.source_id,
                AwardState(message.state), time_of(message.promised_at), time_of(message.changed_at), 0,
                _told(message, "code"), _told(message, "detail"), message.money, message.currency,
            )  # fmt: skip
            return moving.AwardMoved(from_, award)
        case "GrantMoved":
            progress = Progress(message.purchases, message.amount)
            return moving.GrantMoved(from_, message.grant, message.slot, message.settled, progress)
        case "PlayerMoved":
            player = Player(**{name: getattr(message, name) for name in PLAYER})
            return moving.PlayerMoved(from_, message.draw, player)
    return None


def _voucher(message: Any) -> Voucher:
    return Voucher(
        id=message.voucher, program=NOBODY, member=NOBODY, terms=wire_vouchers.terms_of(message.terms),
        state=VoucherState(message.state), source=message.source, source_id=message.source_id,
        issued_at=time_of(message.issued_at), changed_at=time_of(message.changed_at),
        expires_at=_moment(message, "expires_at"), position=0, giver=_told(message, "giver"),
        code_sha256=_told(message, "code_sha256"), gift_until=_moment(message, "gift_until"),
        order=_told(message, "order"), discount=_told(message, "discount"),
    )  # fmt: skip


def _redemption(message: Any) -> Redemption:
    requested: Any = wire_redemptions.event_of("RedemptionRequested", message.requested)
    return Redemption(
        id=requested.redemption, program=NOBODY, member=NOBODY, version=message.version, state=State(message.state),
        requested_at=time_of(message.requested_at), changed_at=time_of(message.changed_at), position=0,
        expires_at=_moment(message, "expires_at"), code=_told(message, "code"), detail=_told(message, "detail"),
        refunds=wire_redemptions.refunds_of_bytes(message.refunds.SerializeToString()),
        **{name: getattr(requested, name) for name in REQUESTED},
    )  # fmt: skip


def _told(message: Any, name: str) -> Any:
    return getattr(message, name) if message.HasField(name) else None


def _moment(message: Any, name: str) -> datetime | None:
    return time_of(getattr(message, name)) if message.HasField(name) else None
