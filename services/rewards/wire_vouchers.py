"""Vouchers between the domain, the messages on rewards.v1 and the columns that hold what a voucher is good for."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from google.protobuf.message import Message
from google.protobuf.timestamp_pb2 import Timestamp

from services.common.codec import time_of
from services.rewards.domain import voucher_events as events
from services.rewards.domain.voucher_terms import Pack, Terms
from tallybook.rewards.v1 import events_pb2 as rewards


def message_of(event: events.VoucherEvent) -> Message:
    """The message of one of our journal's rows."""
    match event:
        case events.VoucherIssued():
            return rewards.VoucherIssued(
                voucher=event.voucher, terms=terms_message(event.terms), source=event.source,
                source_id=event.source_id, expires_at=timestamp(event.expires_at),
            )  # fmt: skip
        case events.VoucherGifted():
            return rewards.VoucherGifted(
                voucher=event.voucher, code_sha256=event.code_sha256, until=timestamp(event.until)
            )
        case events.VoucherGiftReturned():
            return rewards.VoucherGiftReturned(voucher=event.voucher, reason=event.reason)
        case events.VoucherGiven():
            return rewards.VoucherGiven(voucher=event.voucher, claimed_by=event.claimed_by)
        case events.VoucherClaimed():
            return rewards.VoucherClaimed(
                voucher=event.voucher, terms=terms_message(event.terms), giver=event.giver,
                expires_at=timestamp(event.expires_at),
            )  # fmt: skip
        case events.VoucherHeld():
            return rewards.VoucherHeld(voucher=event.voucher, order=event.order, discount=event.discount)
        case events.VoucherUsed():
            return rewards.VoucherUsed(voucher=event.voucher, order=event.order, discount=event.discount)
        case events.VoucherUnused():
            return rewards.VoucherUnused(voucher=event.voucher, order=event.order)
        case events.VoucherExpired():
            return rewards.VoucherExpired(voucher=event.voucher)
        case events.VoucherVoided():
            return rewards.VoucherVoided(voucher=event.voucher, reason=event.reason)
        case events.VoucherClaimRefused():
            return rewards.VoucherClaimRefused(api_key=event.api_key, code=event.code)


def event_of(type_: str, message: Any) -> events.VoucherEvent | None:
    """The event in a message; None for what is no event of a voucher."""
    match type_:
        case "VoucherIssued":
            return events.VoucherIssued(
                message.voucher, terms_of(message.terms), message.source, message.source_id,
                _moment(message, "expires_at"),
            )  # fmt: skip
        case "VoucherGifted":
            return events.VoucherGifted(message.voucher, message.code_sha256, time_of(message.until))
        case "VoucherGiftReturned":
            return events.VoucherGiftReturned(message.voucher, message.reason)
        case "VoucherGiven":
            return events.VoucherGiven(message.voucher, message.claimed_by)
        case "VoucherClaimed":
            return events.VoucherClaimed(
                message.voucher, terms_of(message.terms), message.giver, _moment(message, "expires_at")
            )
        case "VoucherHeld":
            return events.VoucherHeld(message.voucher, message.order, message.discount)
        case "VoucherUsed":
            return events.VoucherUsed(message.voucher, message.order, message.discount)
        case "VoucherUnused":
            return events.VoucherUnused(message.voucher, message.order)
        case "VoucherExpired":
            return events.VoucherExpired(message.voucher)
        case "VoucherVoided":
            return events.VoucherVoided(message.voucher, message.reason)
        case "VoucherClaimRefused":
            return events.VoucherClaimRefused(message.api_key, message.code)
    return None


def terms_bytes(terms: Terms) -> bytes:
    """The column `terms`: the same terms give the same bytes."""
    return terms_message(terms).SerializeToString(deterministic=True)


def terms_of_bytes(value: bytes) -> Terms:
    """The inverse of `terms_bytes`."""
    return terms_of(rewards.VoucherTerms.FromString(value))


def pack_message(pack: Pack | None) -> rewards.VoucherPack | None:
    """A pack on the wire."""
    return None if pack is None else rewards.VoucherPack(terms=terms_message(pack.terms), count=pack.count)


def pack_of(message: rewards.VoucherPack) -> Pack:
    """The inverse of `pack_message`."""
    return Pack(terms_of(message.terms), message.count)


def pack_bytes(pack: Pack | None) -> bytes | None:
    """The column `pack` of a redemption."""
    message = pack_message(pack)
    return None if message is None else message.SerializeToString(deterministic=True)


def pack_of_bytes(value: bytes | None) -> Pack | None:
    """The inverse of `pack_bytes`."""
    return None if value is None else pack_of(rewards.VoucherPack.FromString(value))


def timestamp(time: datetime | None) -> Timestamp | None:
    """A moment on the wire."""
    if time is None:
        return None
    stamp = Timestamp()
    stamp.FromDatetime(time.astimezone(UTC))
    return stamp


def _moment(message: Any, name: str) -> datetime | None:
    return time_of(getattr(message, name)) if message.HasField(name) else None


def terms_message(terms: Terms) -> rewards.VoucherTerms:
    """What a voucher is good for, on the wire."""
    return rewards.VoucherTerms(
        id=terms.id, name=terms.name, kind=terms.kind, value=terms.value, minimum_spend=terms.minimum_spend,
        categories=terms.categories, skus=terms.skus, stores=terms.stores, valid_days=terms.valid_days,
        until=timestamp(terms.until), gift=terms.gift, claim_days=terms.claim_days,
    )  # fmt: skip


def terms_of(message: rewards.VoucherTerms) -> Terms:
    """The inverse of `terms_message`."""
    return Terms(
        id=message.id, name=message.name, kind=message.kind, value=message.value,
        minimum_spend=message.minimum_spend, categories=tuple(message.categories), skus=tuple(message.skus),
        stores=tuple(message.stores), valid_days=message.valid_days, until=_moment(message, "until"),
        gift=message.gift, claim_days=message.claim_days,
    )  # fmt: skip
