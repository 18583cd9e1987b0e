import datetime

from google.protobuf import timestamp_pb2 as _timestamp_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class Seal(_message.Message):
    __slots__ = ("number", "sealed_at", "previous", "journals", "public_key", "signature")
    NUMBER_FIELD_NUMBER: _ClassVar[int]
    SEALED_AT_FIELD_NUMBER: _ClassVar[int]
    PREVIOUS_FIELD_NUMBER: _ClassVar[int]
    JOURNALS_FIELD_NUMBER: _ClassVar[int]
    PUBLIC_KEY_FIELD_NUMBER: _ClassVar[int]
    SIGNATURE_FIELD_NUMBER: _ClassVar[int]
    number: int
    sealed_at: _timestamp_pb2.Timestamp
    previous: bytes
    journals: _containers.RepeatedCompositeFieldContainer[SealedJournal]
    public_key: bytes
    signature: bytes
    def __init__(self, number: _Optional[int] = ..., sealed_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., previous: _Optional[bytes] = ..., journals: _Optional[_Iterable[_Union[SealedJournal, _Mapping]]] = ..., public_key: _Optional[bytes] = ..., signature: _Optional[bytes] = ...) -> None: ...

class SealedJournal(_message.Message):
    __slots__ = ("service", "installation", "heads")
    SERVICE_FIELD_NUMBER: _ClassVar[int]
    INSTALLATION_FIELD_NUMBER: _ClassVar[int]
    HEADS_FIELD_NUMBER: _ClassVar[int]
    service: str
    installation: str
    heads: _containers.RepeatedCompositeFieldContainer[SealedHead]
    def __init__(self, service: _Optional[str] = ..., installation: _Optional[str] = ..., heads: _Optional[_Iterable[_Union[SealedHead, _Mapping]]] = ...) -> None: ...

class SealedHead(_message.Message):
    __slots__ = ("chain", "position", "hash")
    CHAIN_FIELD_NUMBER: _ClassVar[int]
    POSITION_FIELD_NUMBER: _ClassVar[int]
    HASH_FIELD_NUMBER: _ClassVar[int]
    chain: int
    position: int
    hash: bytes
    def __init__(self, chain: _Optional[int] = ..., position: _Optional[int] = ..., hash: _Optional[bytes] = ...) -> None: ...
