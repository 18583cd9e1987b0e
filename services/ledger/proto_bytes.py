"""The wire form of the two messages that nearly all of the journal is made of, without a message object in between.

A purchase's bytes are there already. An accrual of a purchase is put together here: by way of a message object it
takes 28,000 instructions, and 8,000 more for each rule in it; like this 12,000 and 5,500 (counted). Whatever has more
to it the library writes (`payloads.Form`); `tests/contract/test_payload_bytes.py` holds them to the same bytes.
The format: https://protobuf.dev/programming-guides/encoding/. A field is its tag (number and kind) and its value; texts
and messages have their length before them; what is empty or 0 is left out.
"""

from __future__ import annotations

from functools import lru_cache

from services.common.chain import EPOCH
from services.common.errors import InvariantBroken
from services.ledger.domain.events import PointsAccrued

# Numbers are written seven bits a byte, the lowest first; all but the last byte have the highest bit set. They come
# from tables, fourteen bits at once: to make two bytes of two numbers costs as much as all the rest of a field.
_MORE = [bytes((low | 0x80, high | 0x80)) for high in range(0x80) for low in range(0x80)]
_LAST = [bytes((low,)) for low in range(0x80)]
_LAST += [bytes((low | 0x80, high)) for high in range(1, 0x80) for low in range(0x80)]
_ONE, _TWO = 1 << 14, 1 << 28
"""Numbers below these are one entry of `_LAST`; one of `_MORE` and one of `_LAST`."""
_UNSIGNED = (1 << 64) - 1
_FIVE_BYTES = 1 << 35
"""Seconds from `_TWO` to below this, from 1978 to the year 3058, take five bytes."""


def embedded(content: bytes) -> bytes:
    """A message whose only field, number 1, is the message that `content` is: PurchaseRecorded of its activity."""
    return b"\x0a%b%b" % (_number(len(content)), content)


def unembedded(payload: bytes) -> bytes:
    """The inverse of `embedded`: exactly the bytes that were told. Raises InvariantBroken."""
    length = shift = 0
    for index, byte in enumerate(payload[1:], 2):
        length |= (byte & 0x7F) << shift
        shift += 7
        if byte <= 0x7F:
            return payload[index : index + length]
    raise InvariantBroken("a PurchaseRecorded without a purchase")


def plain_accrual(event: PointsAccrued) -> bytes | None:
    """A PointsAccrued by base and rules, its fields in the order of their numbers; None: there is more to it."""
    points, amount, purchase = event.points, event.amount, event.purchase.encode()
    if (
        event.counters
        or event.debt_repaid
        or event.matures_at is not None
        or not (0 < points < _ONE and 0 < amount < _TWO and 0 < len(purchase) < _ONE)
    ):
        return None
    expires_at = b""
    if event.expires_at is not None:
        since = event.expires_at - EPOCH
        seconds = since.days * 86_400 + since.seconds
        if since.microseconds or not _TWO <= seconds < _FIVE_BYTES:
            return None
        expires_at = b"\x32\x06\x08%b%b%b" % (
            _MORE[seconds & 0x3FFF],
            _MORE[seconds >> 14 & 0x3FFF],
            _LAST[seconds >> 28],
        )
    accrual = b"\x0a%b%b%b\x18%b%b%b\x40%b%b" % (
        _LAST[len(purchase)],
        purchase,
        _usual_text(0x12, event.reason),
        _LAST[points],
        _usual_text(0x22, event.tier),
        expires_at,
        _LAST[amount] if amount < _ONE else _MORE[amount & 0x3FFF] + _LAST[amount >> 14],
        _usual_text(0x4A, event.version),
    )
    if not event.contributions:
        return accrual
    return b"".join([accrual, *[_contribution(rule, counted) for rule, counted in event.contributions]])


def _contribution(rule: str, counted: int) -> bytes:
    content = _usual_text(0x0A, rule)
    if counted:
        content = b"%b\x10%b" % (content, _number(counted & _UNSIGNED))
    return b"\x52%b%b" % (_number(len(content)), content)


@lru_cache(maxsize=4_096)
def _usual_text(tag: int, text: str) -> bytes:
    """Of texts that come again and again."""
    content = text.encode()
    return b"%c%b%b" % (tag, _number(len(content)), content) if text else b""


def _number(number: int) -> bytes:
    return _LAST[number] if number < _ONE else _MORE[number & 0x3FFF] + _number(number >> 14)
