import datetime

from google.protobuf import timestamp_pb2 as _timestamp_pb2
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class RedemptionRequested(_message.Message):
    __slots__ = ("redemption", "reward", "order", "points", "ttl_seconds", "kind", "name", "value")
    REDEMPTION_FIELD_NUMBER: _ClassVar[int]
    REWARD_FIELD_NUMBER: _ClassVar[int]
    ORDER_FIELD_NUMBER: _ClassVar[int]
    POINTS_FIELD_NUMBER: _ClassVar[int]
    TTL_SECONDS_FIELD_NUMBER: _ClassVar[int]
    KIND_FIELD_NUMBER: _ClassVar[int]
    NAME_FIELD_NUMBER: _ClassVar[int]
    VALUE_FIELD_NUMBER: _ClassVar[int]
    redemption: str
    reward: str
    order: str
    points: int
    ttl_seconds: int
    kind: str
    name: str
    value: int
    def __init__(self, redemption: _Optional[str] = ..., reward: _Optional[str] = ..., order: _Optional[str] = ..., points: _Optional[int] = ..., ttl_seconds: _Optional[int] = ..., kind: _Optional[str] = ..., name: _Optional[str] = ..., value: _Optional[int] = ...) -> None: ...

class RedemptionReserved(_message.Message):
    __slots__ = ("redemption", "expires_at")
    REDEMPTION_FIELD_NUMBER: _ClassVar[int]
    EXPIRES_AT_FIELD_NUMBER: _ClassVar[int]
    redemption: str
    expires_at: _timestamp_pb2.Timestamp
    def __init__(self, redemption: _Optional[str] = ..., expires_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ...) -> None: ...

class RedemptionRefused(_message.Message):
    __slots__ = ("redemption", "code", "detail")
    REDEMPTION_FIELD_NUMBER: _ClassVar[int]
    CODE_FIELD_NUMBER: _ClassVar[int]
    DETAIL_FIELD_NUMBER: _ClassVar[int]
    redemption: str
    code: str
    detail: str
    def __init__(self, redemption: _Optional[str] = ..., code: _Optional[str] = ..., detail: _Optional[str] = ...) -> None: ...

class CaptureRequested(_message.Message):
    __slots__ = ("redemption",)
    REDEMPTION_FIELD_NUMBER: _ClassVar[int]
    redemption: str
    def __init__(self, redemption: _Optional[str] = ...) -> None: ...

class RedemptionCaptured(_message.Message):
    __slots__ = ("redemption",)
    REDEMPTION_FIELD_NUMBER: _ClassVar[int]
    redemption: str
    def __init__(self, redemption: _Optional[str] = ...) -> None: ...

class CancellationRequested(_message.Message):
    __slots__ = ("redemption",)
    REDEMPTION_FIELD_NUMBER: _ClassVar[int]
    redemption: str
    def __init__(self, redemption: _Optional[str] = ...) -> None: ...

class RedemptionCancelled(_message.Message):
    __slots__ = ("redemption", "reason")
    REDEMPTION_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    redemption: str
    reason: str
    def __init__(self, redemption: _Optional[str] = ..., reason: _Optional[str] = ...) -> None: ...

class ProgramRefused(_message.Message):
    __slots__ = ("version", "reason")
    VERSION_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    version: str
    reason: str
    def __init__(self, version: _Optional[str] = ..., reason: _Optional[str] = ...) -> None: ...
