import datetime

from google.protobuf import timestamp_pb2 as _timestamp_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class RedemptionRequested(_message.Message):
    __slots__ = ("redemption", "reward", "order", "points", "ttl_seconds", "kind", "name", "value", "pack")
    REDEMPTION_FIELD_NUMBER: _ClassVar[int]
    REWARD_FIELD_NUMBER: _ClassVar[int]
    ORDER_FIELD_NUMBER: _ClassVar[int]
    POINTS_FIELD_NUMBER: _ClassVar[int]
    TTL_SECONDS_FIELD_NUMBER: _ClassVar[int]
    KIND_FIELD_NUMBER: _ClassVar[int]
    NAME_FIELD_NUMBER: _ClassVar[int]
    VALUE_FIELD_NUMBER: _ClassVar[int]
    PACK_FIELD_NUMBER: _ClassVar[int]
    redemption: str
    reward: str
    order: str
    points: int
    ttl_seconds: int
    kind: str
    name: str
    value: int
    pack: VoucherPack
    def __init__(self, redemption: _Optional[str] = ..., reward: _Optional[str] = ..., order: _Optional[str] = ..., points: _Optional[int] = ..., ttl_seconds: _Optional[int] = ..., kind: _Optional[str] = ..., name: _Optional[str] = ..., value: _Optional[int] = ..., pack: _Optional[_Union[VoucherPack, _Mapping]] = ...) -> None: ...

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

class VoucherTerms(_message.Message):
    __slots__ = ("id", "name", "kind", "value", "minimum_spend", "categories", "skus", "stores", "valid_days", "until", "gift", "claim_days")
    ID_FIELD_NUMBER: _ClassVar[int]
    NAME_FIELD_NUMBER: _ClassVar[int]
    KIND_FIELD_NUMBER: _ClassVar[int]
    VALUE_FIELD_NUMBER: _ClassVar[int]
    MINIMUM_SPEND_FIELD_NUMBER: _ClassVar[int]
    CATEGORIES_FIELD_NUMBER: _ClassVar[int]
    SKUS_FIELD_NUMBER: _ClassVar[int]
    STORES_FIELD_NUMBER: _ClassVar[int]
    VALID_DAYS_FIELD_NUMBER: _ClassVar[int]
    UNTIL_FIELD_NUMBER: _ClassVar[int]
    GIFT_FIELD_NUMBER: _ClassVar[int]
    CLAIM_DAYS_FIELD_NUMBER: _ClassVar[int]
    id: str
    name: str
    kind: str
    value: int
    minimum_spend: int
    categories: _containers.RepeatedScalarFieldContainer[str]
    skus: _containers.RepeatedScalarFieldContainer[str]
    stores: _containers.RepeatedScalarFieldContainer[str]
    valid_days: int
    until: _timestamp_pb2.Timestamp
    gift: bool
    claim_days: int
    def __init__(self, id: _Optional[str] = ..., name: _Optional[str] = ..., kind: _Optional[str] = ..., value: _Optional[int] = ..., minimum_spend: _Optional[int] = ..., categories: _Optional[_Iterable[str]] = ..., skus: _Optional[_Iterable[str]] = ..., stores: _Optional[_Iterable[str]] = ..., valid_days: _Optional[int] = ..., until: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., gift: _Optional[bool] = ..., claim_days: _Optional[int] = ...) -> None: ...

class VoucherPack(_message.Message):
    __slots__ = ("terms", "count")
    TERMS_FIELD_NUMBER: _ClassVar[int]
    COUNT_FIELD_NUMBER: _ClassVar[int]
    terms: VoucherTerms
    count: int
    def __init__(self, terms: _Optional[_Union[VoucherTerms, _Mapping]] = ..., count: _Optional[int] = ...) -> None: ...

class VoucherIssued(_message.Message):
    __slots__ = ("voucher", "terms", "source", "source_id", "expires_at")
    VOUCHER_FIELD_NUMBER: _ClassVar[int]
    TERMS_FIELD_NUMBER: _ClassVar[int]
    SOURCE_FIELD_NUMBER: _ClassVar[int]
    SOURCE_ID_FIELD_NUMBER: _ClassVar[int]
    EXPIRES_AT_FIELD_NUMBER: _ClassVar[int]
    voucher: str
    terms: VoucherTerms
    source: str
    source_id: str
    expires_at: _timestamp_pb2.Timestamp
    def __init__(self, voucher: _Optional[str] = ..., terms: _Optional[_Union[VoucherTerms, _Mapping]] = ..., source: _Optional[str] = ..., source_id: _Optional[str] = ..., expires_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ...) -> None: ...

class VoucherGifted(_message.Message):
    __slots__ = ("voucher", "code_sha256", "until")
    VOUCHER_FIELD_NUMBER: _ClassVar[int]
    CODE_SHA256_FIELD_NUMBER: _ClassVar[int]
    UNTIL_FIELD_NUMBER: _ClassVar[int]
    voucher: str
    code_sha256: bytes
    until: _timestamp_pb2.Timestamp
    def __init__(self, voucher: _Optional[str] = ..., code_sha256: _Optional[bytes] = ..., until: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ...) -> None: ...

class VoucherGiftReturned(_message.Message):
    __slots__ = ("voucher", "reason")
    VOUCHER_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    voucher: str
    reason: str
    def __init__(self, voucher: _Optional[str] = ..., reason: _Optional[str] = ...) -> None: ...

class VoucherGiven(_message.Message):
    __slots__ = ("voucher", "claimed_by")
    VOUCHER_FIELD_NUMBER: _ClassVar[int]
    CLAIMED_BY_FIELD_NUMBER: _ClassVar[int]
    voucher: str
    claimed_by: str
    def __init__(self, voucher: _Optional[str] = ..., claimed_by: _Optional[str] = ...) -> None: ...

class VoucherClaimed(_message.Message):
    __slots__ = ("voucher", "terms", "giver", "expires_at")
    VOUCHER_FIELD_NUMBER: _ClassVar[int]
    TERMS_FIELD_NUMBER: _ClassVar[int]
    GIVER_FIELD_NUMBER: _ClassVar[int]
    EXPIRES_AT_FIELD_NUMBER: _ClassVar[int]
    voucher: str
    terms: VoucherTerms
    giver: str
    expires_at: _timestamp_pb2.Timestamp
    def __init__(self, voucher: _Optional[str] = ..., terms: _Optional[_Union[VoucherTerms, _Mapping]] = ..., giver: _Optional[str] = ..., expires_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ...) -> None: ...

class VoucherUsed(_message.Message):
    __slots__ = ("voucher", "order", "discount")
    VOUCHER_FIELD_NUMBER: _ClassVar[int]
    ORDER_FIELD_NUMBER: _ClassVar[int]
    DISCOUNT_FIELD_NUMBER: _ClassVar[int]
    voucher: str
    order: str
    discount: int
    def __init__(self, voucher: _Optional[str] = ..., order: _Optional[str] = ..., discount: _Optional[int] = ...) -> None: ...

class VoucherUnused(_message.Message):
    __slots__ = ("voucher", "order")
    VOUCHER_FIELD_NUMBER: _ClassVar[int]
    ORDER_FIELD_NUMBER: _ClassVar[int]
    voucher: str
    order: str
    def __init__(self, voucher: _Optional[str] = ..., order: _Optional[str] = ...) -> None: ...

class VoucherExpired(_message.Message):
    __slots__ = ("voucher",)
    VOUCHER_FIELD_NUMBER: _ClassVar[int]
    voucher: str
    def __init__(self, voucher: _Optional[str] = ...) -> None: ...

class VoucherVoided(_message.Message):
    __slots__ = ("voucher", "reason")
    VOUCHER_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    voucher: str
    reason: str
    def __init__(self, voucher: _Optional[str] = ..., reason: _Optional[str] = ...) -> None: ...

class VoucherClaimRefused(_message.Message):
    __slots__ = ("api_key", "code")
    API_KEY_FIELD_NUMBER: _ClassVar[int]
    CODE_FIELD_NUMBER: _ClassVar[int]
    api_key: str
    code: str
    def __init__(self, api_key: _Optional[str] = ..., code: _Optional[str] = ...) -> None: ...

class GrantProgressed(_message.Message):
    __slots__ = ("grant", "slot", "occasion", "purchases", "amount")
    GRANT_FIELD_NUMBER: _ClassVar[int]
    SLOT_FIELD_NUMBER: _ClassVar[int]
    OCCASION_FIELD_NUMBER: _ClassVar[int]
    PURCHASES_FIELD_NUMBER: _ClassVar[int]
    AMOUNT_FIELD_NUMBER: _ClassVar[int]
    grant: str
    slot: str
    occasion: str
    purchases: int
    amount: int
    def __init__(self, grant: _Optional[str] = ..., slot: _Optional[str] = ..., occasion: _Optional[str] = ..., purchases: _Optional[int] = ..., amount: _Optional[int] = ...) -> None: ...

class GrantGiven(_message.Message):
    __slots__ = ("grant", "slot", "occasion", "vouchers", "budgeted")
    GRANT_FIELD_NUMBER: _ClassVar[int]
    SLOT_FIELD_NUMBER: _ClassVar[int]
    OCCASION_FIELD_NUMBER: _ClassVar[int]
    VOUCHERS_FIELD_NUMBER: _ClassVar[int]
    BUDGETED_FIELD_NUMBER: _ClassVar[int]
    grant: str
    slot: str
    occasion: str
    vouchers: int
    budgeted: bool
    def __init__(self, grant: _Optional[str] = ..., slot: _Optional[str] = ..., occasion: _Optional[str] = ..., vouchers: _Optional[int] = ..., budgeted: _Optional[bool] = ...) -> None: ...

class GrantWithheld(_message.Message):
    __slots__ = ("grant", "slot", "occasion", "reason")
    GRANT_FIELD_NUMBER: _ClassVar[int]
    SLOT_FIELD_NUMBER: _ClassVar[int]
    OCCASION_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    grant: str
    slot: str
    occasion: str
    reason: str
    def __init__(self, grant: _Optional[str] = ..., slot: _Optional[str] = ..., occasion: _Optional[str] = ..., reason: _Optional[str] = ...) -> None: ...
