import datetime

from google.protobuf import timestamp_pb2 as _timestamp_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class Purchase(_message.Message):
    __slots__ = ("id", "program", "member", "occurred_at", "store", "channel", "currency", "lines", "payment_method")
    ID_FIELD_NUMBER: _ClassVar[int]
    PROGRAM_FIELD_NUMBER: _ClassVar[int]
    MEMBER_FIELD_NUMBER: _ClassVar[int]
    OCCURRED_AT_FIELD_NUMBER: _ClassVar[int]
    STORE_FIELD_NUMBER: _ClassVar[int]
    CHANNEL_FIELD_NUMBER: _ClassVar[int]
    CURRENCY_FIELD_NUMBER: _ClassVar[int]
    LINES_FIELD_NUMBER: _ClassVar[int]
    PAYMENT_METHOD_FIELD_NUMBER: _ClassVar[int]
    id: str
    program: str
    member: str
    occurred_at: _timestamp_pb2.Timestamp
    store: str
    channel: str
    currency: str
    lines: _containers.RepeatedCompositeFieldContainer[PurchaseLine]
    payment_method: str
    def __init__(self, id: _Optional[str] = ..., program: _Optional[str] = ..., member: _Optional[str] = ..., occurred_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., store: _Optional[str] = ..., channel: _Optional[str] = ..., currency: _Optional[str] = ..., lines: _Optional[_Iterable[_Union[PurchaseLine, _Mapping]]] = ..., payment_method: _Optional[str] = ...) -> None: ...

class PurchaseLine(_message.Message):
    __slots__ = ("id", "sku", "category", "quantity", "amount", "brand", "discount")
    ID_FIELD_NUMBER: _ClassVar[int]
    SKU_FIELD_NUMBER: _ClassVar[int]
    CATEGORY_FIELD_NUMBER: _ClassVar[int]
    QUANTITY_FIELD_NUMBER: _ClassVar[int]
    AMOUNT_FIELD_NUMBER: _ClassVar[int]
    BRAND_FIELD_NUMBER: _ClassVar[int]
    DISCOUNT_FIELD_NUMBER: _ClassVar[int]
    id: int
    sku: str
    category: str
    quantity: int
    amount: int
    brand: str
    discount: int
    def __init__(self, id: _Optional[int] = ..., sku: _Optional[str] = ..., category: _Optional[str] = ..., quantity: _Optional[int] = ..., amount: _Optional[int] = ..., brand: _Optional[str] = ..., discount: _Optional[int] = ...) -> None: ...

class Return(_message.Message):
    __slots__ = ("id", "program", "member", "occurred_at", "of", "lines", "store", "channel")
    ID_FIELD_NUMBER: _ClassVar[int]
    PROGRAM_FIELD_NUMBER: _ClassVar[int]
    MEMBER_FIELD_NUMBER: _ClassVar[int]
    OCCURRED_AT_FIELD_NUMBER: _ClassVar[int]
    OF_FIELD_NUMBER: _ClassVar[int]
    LINES_FIELD_NUMBER: _ClassVar[int]
    STORE_FIELD_NUMBER: _ClassVar[int]
    CHANNEL_FIELD_NUMBER: _ClassVar[int]
    id: str
    program: str
    member: str
    occurred_at: _timestamp_pb2.Timestamp
    of: str
    lines: _containers.RepeatedCompositeFieldContainer[ReturnLine]
    store: str
    channel: str
    def __init__(self, id: _Optional[str] = ..., program: _Optional[str] = ..., member: _Optional[str] = ..., occurred_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., of: _Optional[str] = ..., lines: _Optional[_Iterable[_Union[ReturnLine, _Mapping]]] = ..., store: _Optional[str] = ..., channel: _Optional[str] = ...) -> None: ...

class ReturnLine(_message.Message):
    __slots__ = ("line", "quantity")
    LINE_FIELD_NUMBER: _ClassVar[int]
    QUANTITY_FIELD_NUMBER: _ClassVar[int]
    line: int
    quantity: int
    def __init__(self, line: _Optional[int] = ..., quantity: _Optional[int] = ...) -> None: ...

class Enrolment(_message.Message):
    __slots__ = ("id", "program", "member", "occurred_at", "identifiers", "profile")
    ID_FIELD_NUMBER: _ClassVar[int]
    PROGRAM_FIELD_NUMBER: _ClassVar[int]
    MEMBER_FIELD_NUMBER: _ClassVar[int]
    OCCURRED_AT_FIELD_NUMBER: _ClassVar[int]
    IDENTIFIERS_FIELD_NUMBER: _ClassVar[int]
    PROFILE_FIELD_NUMBER: _ClassVar[int]
    id: str
    program: str
    member: str
    occurred_at: _timestamp_pb2.Timestamp
    identifiers: _containers.RepeatedCompositeFieldContainer[Identifier]
    profile: Profile
    def __init__(self, id: _Optional[str] = ..., program: _Optional[str] = ..., member: _Optional[str] = ..., occurred_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., identifiers: _Optional[_Iterable[_Union[Identifier, _Mapping]]] = ..., profile: _Optional[_Union[Profile, _Mapping]] = ...) -> None: ...

class Profile(_message.Message):
    __slots__ = ("birthday", "name", "email", "phone", "tags")
    BIRTHDAY_FIELD_NUMBER: _ClassVar[int]
    NAME_FIELD_NUMBER: _ClassVar[int]
    EMAIL_FIELD_NUMBER: _ClassVar[int]
    PHONE_FIELD_NUMBER: _ClassVar[int]
    TAGS_FIELD_NUMBER: _ClassVar[int]
    birthday: str
    name: str
    email: str
    phone: str
    tags: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, birthday: _Optional[str] = ..., name: _Optional[str] = ..., email: _Optional[str] = ..., phone: _Optional[str] = ..., tags: _Optional[_Iterable[str]] = ...) -> None: ...

class Interaction(_message.Message):
    __slots__ = ("id", "program", "member", "occurred_at", "kind", "content", "channel", "store")
    ID_FIELD_NUMBER: _ClassVar[int]
    PROGRAM_FIELD_NUMBER: _ClassVar[int]
    MEMBER_FIELD_NUMBER: _ClassVar[int]
    OCCURRED_AT_FIELD_NUMBER: _ClassVar[int]
    KIND_FIELD_NUMBER: _ClassVar[int]
    CONTENT_FIELD_NUMBER: _ClassVar[int]
    CHANNEL_FIELD_NUMBER: _ClassVar[int]
    STORE_FIELD_NUMBER: _ClassVar[int]
    id: str
    program: str
    member: str
    occurred_at: _timestamp_pb2.Timestamp
    kind: str
    content: str
    channel: str
    store: str
    def __init__(self, id: _Optional[str] = ..., program: _Optional[str] = ..., member: _Optional[str] = ..., occurred_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., kind: _Optional[str] = ..., content: _Optional[str] = ..., channel: _Optional[str] = ..., store: _Optional[str] = ...) -> None: ...

class Referral(_message.Message):
    __slots__ = ("id", "program", "member", "occurred_at", "referrer", "step", "task")
    ID_FIELD_NUMBER: _ClassVar[int]
    PROGRAM_FIELD_NUMBER: _ClassVar[int]
    MEMBER_FIELD_NUMBER: _ClassVar[int]
    OCCURRED_AT_FIELD_NUMBER: _ClassVar[int]
    REFERRER_FIELD_NUMBER: _ClassVar[int]
    STEP_FIELD_NUMBER: _ClassVar[int]
    TASK_FIELD_NUMBER: _ClassVar[int]
    id: str
    program: str
    member: str
    occurred_at: _timestamp_pb2.Timestamp
    referrer: str
    step: str
    task: str
    def __init__(self, id: _Optional[str] = ..., program: _Optional[str] = ..., member: _Optional[str] = ..., occurred_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., referrer: _Optional[str] = ..., step: _Optional[str] = ..., task: _Optional[str] = ...) -> None: ...

class Identifier(_message.Message):
    __slots__ = ("kind", "value")
    KIND_FIELD_NUMBER: _ClassVar[int]
    VALUE_FIELD_NUMBER: _ClassVar[int]
    kind: str
    value: str
    def __init__(self, kind: _Optional[str] = ..., value: _Optional[str] = ...) -> None: ...

class TopUp(_message.Message):
    __slots__ = ("id", "program", "member", "occurred_at", "store", "channel", "currency", "amount")
    ID_FIELD_NUMBER: _ClassVar[int]
    PROGRAM_FIELD_NUMBER: _ClassVar[int]
    MEMBER_FIELD_NUMBER: _ClassVar[int]
    OCCURRED_AT_FIELD_NUMBER: _ClassVar[int]
    STORE_FIELD_NUMBER: _ClassVar[int]
    CHANNEL_FIELD_NUMBER: _ClassVar[int]
    CURRENCY_FIELD_NUMBER: _ClassVar[int]
    AMOUNT_FIELD_NUMBER: _ClassVar[int]
    id: str
    program: str
    member: str
    occurred_at: _timestamp_pb2.Timestamp
    store: str
    channel: str
    currency: str
    amount: int
    def __init__(self, id: _Optional[str] = ..., program: _Optional[str] = ..., member: _Optional[str] = ..., occurred_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., store: _Optional[str] = ..., channel: _Optional[str] = ..., currency: _Optional[str] = ..., amount: _Optional[int] = ...) -> None: ...

class TopUpReversal(_message.Message):
    __slots__ = ("id", "program", "member", "occurred_at", "of", "store", "channel")
    ID_FIELD_NUMBER: _ClassVar[int]
    PROGRAM_FIELD_NUMBER: _ClassVar[int]
    MEMBER_FIELD_NUMBER: _ClassVar[int]
    OCCURRED_AT_FIELD_NUMBER: _ClassVar[int]
    OF_FIELD_NUMBER: _ClassVar[int]
    STORE_FIELD_NUMBER: _ClassVar[int]
    CHANNEL_FIELD_NUMBER: _ClassVar[int]
    id: str
    program: str
    member: str
    occurred_at: _timestamp_pb2.Timestamp
    of: str
    store: str
    channel: str
    def __init__(self, id: _Optional[str] = ..., program: _Optional[str] = ..., member: _Optional[str] = ..., occurred_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., of: _Optional[str] = ..., store: _Optional[str] = ..., channel: _Optional[str] = ...) -> None: ...
