"""Journal payloads: an event is a protobuf message of its own name, field by field by their names.

An event class in `domain/events.py` and a message in `events.proto` are all that a new event needs. A list of
tuples, or of small classes, is a repeated message, its values in the order of the message's field numbers.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from operator import attrgetter
from types import NoneType
from typing import Any, NamedTuple, get_args, get_origin, get_type_hints

from google.protobuf.message import Message

from services.common.chain import micros
from services.common.codec import time_of
from services.common.errors import InvariantBroken
from services.ledger import proto_bytes, wire
from services.ledger.domain import events as e
from services.ledger.domain.commands import Return, TopUp, TopUpReversal
from tallybook.activities.v1 import activities_pb2 as activities
from tallybook.ledger.v1 import events_pb2 as pb

PLAIN = (str, int, bool, bytes)


def encode(event: e.Event) -> tuple[str, bytes]:
    """(type, payload) of an event, as the journal keeps them."""
    if isinstance(event, e.PurchaseRecorded):
        return "PurchaseRecorded", proto_bytes.embedded(event.purchase.content)
    if isinstance(event, e.PointsAccrued) and (plain := proto_bytes.plain_accrual(event)) is not None:
        return "PointsAccrued", plain
    form = FORMS_OF_EVENTS[type(event)]
    return form.name, form.message_of(event).SerializeToString()


def decode(type_: str, payload: bytes) -> e.Event:
    """The event in a journal row. Raises InvariantBroken for what no version of the ledger has written."""
    if type_ == "PurchaseRecorded":
        message: Any = pb.PurchaseRecorded.FromString(payload)
        return e.PurchaseRecorded(wire.purchase_of(message.activity, proto_bytes.unembedded(payload)))
    form = FORMS.get(type_)
    if form is None:
        raise InvariantBroken(f"no event type {type_!r}")
    event: e.Event = form.event_of(form.message.FromString(payload))
    return event


class Form:
    """How the events of one class are written and read."""

    def __init__(self, event: type[Any]) -> None:
        self.name = event.__name__
        self.event = event
        self.message: Any = getattr(pb, self.name)
        hints = get_type_hints(event)
        self._plain = [name for name, hint in hints.items() if hint in PLAIN]
        self._plain_of = _getter(self._plain)
        self._others = [
            _Field(name, *_converters(hint, self.message.DESCRIPTOR.fields_by_name[name]))
            for name, hint in hints.items()
            if hint not in PLAIN
        ]

    def message_of(self, event: Any) -> Message:
        """The event as a message."""
        message: Message = self.message(**dict(zip(self._plain, self._plain_of(event), strict=False)))
        for name, write, _ in self._others:
            value = getattr(event, name)
            if value:
                write(message, value)
        return message

    def event_of(self, message: Any) -> Any:
        """The event that a message says."""
        fields = dict(zip(self._plain, self._plain_of(message), strict=False))
        for name, _, read in self._others:
            fields[name] = read(message)
        return self.event(**fields)


def _getter(names: list[str]) -> Callable[[Any], tuple[Any, ...]]:
    """The values of these attributes, in a tuple however many they are."""
    if len(names) > 1:
        return attrgetter(*names)
    return lambda it: tuple(getattr(it, name) for name in names)


class _Field(NamedTuple):
    name: str
    write: Callable[[Any, Any], None]
    read: Callable[[Any], Any]


def _converters(hint: Any, field: Any) -> tuple[Callable[[Any, Any], None], Callable[[Any], Any]]:
    """How a field of this type is put into a message where it has a value, and taken out."""
    if hint is datetime or set(get_args(hint)) == {datetime, NoneType}:
        return _time(field.name)
    if hint in ACTIVITIES:
        return _activity(*ACTIVITIES[hint])
    if get_origin(hint) is list:
        (element,) = get_args(hint)
        return _list_of_values(field.name) if element in PLAIN else _list_of_rows(element, field)
    raise InvariantBroken(f"no form for a field of type {hint}")


def _time(name: str) -> tuple[Callable[[Any, Any], None], Callable[[Any], Any]]:
    """Converters of a time; None is a message without it."""

    def write(message: Any, time: datetime) -> None:
        seconds, rest = divmod(micros(time), 1_000_000)
        timestamp = getattr(message, name)
        timestamp.seconds = seconds
        timestamp.nanos = rest * 1_000

    def read(message: Any) -> datetime | None:
        return time_of(getattr(message, name)) if message.HasField(name) else None

    return write, read


def _list_of_values(name: str) -> tuple[Callable[[Any, Any], None], Callable[[Any], Any]]:
    """Converters of a list of plain values."""

    def write(message: Any, values: Any) -> None:
        getattr(message, name).extend(values)

    def read(message: Any) -> list[Any]:
        return list(getattr(message, name))

    return write, read


def _list_of_rows(element: Any, field: Any) -> tuple[Callable[[Any, Any], None], Callable[[Any], Any]]:
    """Converters of a repeated message: rows are plain tuples, or classes whose fields have the message's names."""
    is_tuple = get_origin(element) is tuple
    name, names = field.name, [part.name for part in field.message_type.fields]
    values_of = _getter(names)

    def write(message: Any, rows: Any) -> None:
        add = getattr(message, name).add
        for row in rows:
            add(**dict(zip(names, row if is_tuple else values_of(row), strict=True)))

    def read(message: Any) -> list[Any]:
        rows = map(values_of, getattr(message, name))
        return list(rows) if is_tuple else [element(*row) for row in rows]

    return write, read


def _activity(
    kind: type[Message], told: Callable[[Any, bytes], Any]
) -> tuple[Callable[[Any, Any], None], Callable[[Any], Any]]:
    """Converters of an activity that an event holds as it was told."""

    def write(message: Any, activity: Any) -> None:
        message.activity.CopyFrom(kind.FromString(activity.content))

    def read(message: Any) -> Any:
        return told(message.activity, message.activity.SerializeToString())

    return write, read


ACTIVITIES: dict[Any, tuple[type[Message], Callable[[Any, bytes], Any]]] = {
    Return: (activities.Return, wire.return_of),
    TopUp: (activities.TopUp, wire.top_up_of),
    TopUpReversal: (activities.TopUpReversal, wire.top_up_reversal_of),
}
"""Activities in the core's words: their messages, and how they are read."""


FORMS = {event.__name__: Form(event) for event in get_args(e.Event) if event is not e.PurchaseRecorded}
"""By event type."""
FORMS_OF_EVENTS = {form.event: form for form in FORMS.values()}
