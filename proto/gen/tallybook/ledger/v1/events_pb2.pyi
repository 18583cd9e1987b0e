import datetime

from google.protobuf import timestamp_pb2 as _timestamp_pb2
from tallybook.activities.v1 import activities_pb2 as _activities_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class ProgramActivated(_message.Message):
    __slots__ = ("version", "document", "by")
    VERSION_FIELD_NUMBER: _ClassVar[int]
    DOCUMENT_FIELD_NUMBER: _ClassVar[int]
    BY_FIELD_NUMBER: _ClassVar[int]
    version: str
    document: bytes
    by: str
    def __init__(self, version: _Optional[str] = ..., document: _Optional[bytes] = ..., by: _Optional[str] = ...) -> None: ...

class ClockAdvanced(_message.Message):
    __slots__ = ("to",)
    TO_FIELD_NUMBER: _ClassVar[int]
    to: _timestamp_pb2.Timestamp
    def __init__(self, to: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ...) -> None: ...

class MemberEnrolled(_message.Message):
    __slots__ = ("by",)
    BY_FIELD_NUMBER: _ClassVar[int]
    by: str
    def __init__(self, by: _Optional[str] = ...) -> None: ...

class IdentifiersLinked(_message.Message):
    __slots__ = ("identifiers",)
    IDENTIFIERS_FIELD_NUMBER: _ClassVar[int]
    identifiers: _containers.RepeatedCompositeFieldContainer[HashedIdentifier]
    def __init__(self, identifiers: _Optional[_Iterable[_Union[HashedIdentifier, _Mapping]]] = ...) -> None: ...

class HashedIdentifier(_message.Message):
    __slots__ = ("kind", "hash")
    KIND_FIELD_NUMBER: _ClassVar[int]
    HASH_FIELD_NUMBER: _ClassVar[int]
    kind: str
    hash: bytes
    def __init__(self, kind: _Optional[str] = ..., hash: _Optional[bytes] = ...) -> None: ...

class PurchaseRecorded(_message.Message):
    __slots__ = ("activity",)
    ACTIVITY_FIELD_NUMBER: _ClassVar[int]
    activity: _activities_pb2.Purchase
    def __init__(self, activity: _Optional[_Union[_activities_pb2.Purchase, _Mapping]] = ...) -> None: ...

class ReturnRecorded(_message.Message):
    __slots__ = ("activity", "lines", "purchased_at", "parked")
    ACTIVITY_FIELD_NUMBER: _ClassVar[int]
    LINES_FIELD_NUMBER: _ClassVar[int]
    PURCHASED_AT_FIELD_NUMBER: _ClassVar[int]
    PARKED_FIELD_NUMBER: _ClassVar[int]
    activity: _activities_pb2.Return
    lines: _containers.RepeatedCompositeFieldContainer[ReturnedLine]
    purchased_at: _timestamp_pb2.Timestamp
    parked: bool
    def __init__(self, activity: _Optional[_Union[_activities_pb2.Return, _Mapping]] = ..., lines: _Optional[_Iterable[_Union[ReturnedLine, _Mapping]]] = ..., purchased_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., parked: _Optional[bool] = ...) -> None: ...

class ReturnParked(_message.Message):
    __slots__ = ("activity",)
    ACTIVITY_FIELD_NUMBER: _ClassVar[int]
    activity: _activities_pb2.Return
    def __init__(self, activity: _Optional[_Union[_activities_pb2.Return, _Mapping]] = ...) -> None: ...

class ParkedReturnRefused(_message.Message):
    __slots__ = ("id", "of", "code", "detail")
    ID_FIELD_NUMBER: _ClassVar[int]
    OF_FIELD_NUMBER: _ClassVar[int]
    CODE_FIELD_NUMBER: _ClassVar[int]
    DETAIL_FIELD_NUMBER: _ClassVar[int]
    id: str
    of: str
    code: str
    detail: str
    def __init__(self, id: _Optional[str] = ..., of: _Optional[str] = ..., code: _Optional[str] = ..., detail: _Optional[str] = ...) -> None: ...

class ReturnedLine(_message.Message):
    __slots__ = ("line", "sku", "category", "quantity", "amount")
    LINE_FIELD_NUMBER: _ClassVar[int]
    SKU_FIELD_NUMBER: _ClassVar[int]
    CATEGORY_FIELD_NUMBER: _ClassVar[int]
    QUANTITY_FIELD_NUMBER: _ClassVar[int]
    AMOUNT_FIELD_NUMBER: _ClassVar[int]
    line: int
    sku: str
    category: str
    quantity: int
    amount: int
    def __init__(self, line: _Optional[int] = ..., sku: _Optional[str] = ..., category: _Optional[str] = ..., quantity: _Optional[int] = ..., amount: _Optional[int] = ...) -> None: ...

class TierAssigned(_message.Message):
    __slots__ = ("tier", "since", "tiering_position", "of")
    TIER_FIELD_NUMBER: _ClassVar[int]
    SINCE_FIELD_NUMBER: _ClassVar[int]
    TIERING_POSITION_FIELD_NUMBER: _ClassVar[int]
    OF_FIELD_NUMBER: _ClassVar[int]
    tier: str
    since: _timestamp_pb2.Timestamp
    tiering_position: int
    of: str
    def __init__(self, tier: _Optional[str] = ..., since: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., tiering_position: _Optional[int] = ..., of: _Optional[str] = ...) -> None: ...

class PointsAccrued(_message.Message):
    __slots__ = ("purchase", "reason", "points", "tier", "expires_at", "debt_repaid", "amount", "version", "contributions", "counters", "matures_at")
    PURCHASE_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    POINTS_FIELD_NUMBER: _ClassVar[int]
    TIER_FIELD_NUMBER: _ClassVar[int]
    EXPIRES_AT_FIELD_NUMBER: _ClassVar[int]
    DEBT_REPAID_FIELD_NUMBER: _ClassVar[int]
    AMOUNT_FIELD_NUMBER: _ClassVar[int]
    VERSION_FIELD_NUMBER: _ClassVar[int]
    CONTRIBUTIONS_FIELD_NUMBER: _ClassVar[int]
    COUNTERS_FIELD_NUMBER: _ClassVar[int]
    MATURES_AT_FIELD_NUMBER: _ClassVar[int]
    purchase: str
    reason: str
    points: int
    tier: str
    expires_at: _timestamp_pb2.Timestamp
    debt_repaid: int
    amount: int
    version: str
    contributions: _containers.RepeatedCompositeFieldContainer[Contribution]
    counters: _containers.RepeatedCompositeFieldContainer[Counter]
    matures_at: _timestamp_pb2.Timestamp
    def __init__(self, purchase: _Optional[str] = ..., reason: _Optional[str] = ..., points: _Optional[int] = ..., tier: _Optional[str] = ..., expires_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., debt_repaid: _Optional[int] = ..., amount: _Optional[int] = ..., version: _Optional[str] = ..., contributions: _Optional[_Iterable[_Union[Contribution, _Mapping]]] = ..., counters: _Optional[_Iterable[_Union[Counter, _Mapping]]] = ..., matures_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ...) -> None: ...

class Contribution(_message.Message):
    __slots__ = ("rule", "counted")
    RULE_FIELD_NUMBER: _ClassVar[int]
    COUNTED_FIELD_NUMBER: _ClassVar[int]
    rule: str
    counted: int
    def __init__(self, rule: _Optional[str] = ..., counted: _Optional[int] = ...) -> None: ...

class Counter(_message.Message):
    __slots__ = ("name", "before", "after")
    NAME_FIELD_NUMBER: _ClassVar[int]
    BEFORE_FIELD_NUMBER: _ClassVar[int]
    AFTER_FIELD_NUMBER: _ClassVar[int]
    name: str
    before: str
    after: str
    def __init__(self, name: _Optional[str] = ..., before: _Optional[str] = ..., after: _Optional[str] = ...) -> None: ...

class PointsClawedBack(_message.Message):
    __slots__ = ("purchase", "reason", "points", "tier", "allocations", "debt", "pending", "forgiven")
    PURCHASE_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    POINTS_FIELD_NUMBER: _ClassVar[int]
    TIER_FIELD_NUMBER: _ClassVar[int]
    ALLOCATIONS_FIELD_NUMBER: _ClassVar[int]
    DEBT_FIELD_NUMBER: _ClassVar[int]
    PENDING_FIELD_NUMBER: _ClassVar[int]
    FORGIVEN_FIELD_NUMBER: _ClassVar[int]
    purchase: str
    reason: str
    points: int
    tier: str
    allocations: _containers.RepeatedCompositeFieldContainer[Allocation]
    debt: int
    pending: int
    forgiven: int
    def __init__(self, purchase: _Optional[str] = ..., reason: _Optional[str] = ..., points: _Optional[int] = ..., tier: _Optional[str] = ..., allocations: _Optional[_Iterable[_Union[Allocation, _Mapping]]] = ..., debt: _Optional[int] = ..., pending: _Optional[int] = ..., forgiven: _Optional[int] = ...) -> None: ...

class PurchaseRecounted(_message.Message):
    __slots__ = ("purchase", "reason", "counters", "moved")
    PURCHASE_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    COUNTERS_FIELD_NUMBER: _ClassVar[int]
    MOVED_FIELD_NUMBER: _ClassVar[int]
    purchase: str
    reason: str
    counters: _containers.RepeatedCompositeFieldContainer[Counter]
    moved: _containers.RepeatedCompositeFieldContainer[Counter]
    def __init__(self, purchase: _Optional[str] = ..., reason: _Optional[str] = ..., counters: _Optional[_Iterable[_Union[Counter, _Mapping]]] = ..., moved: _Optional[_Iterable[_Union[Counter, _Mapping]]] = ...) -> None: ...

class Allocation(_message.Message):
    __slots__ = ("lot", "amount")
    LOT_FIELD_NUMBER: _ClassVar[int]
    AMOUNT_FIELD_NUMBER: _ClassVar[int]
    lot: int
    amount: int
    def __init__(self, lot: _Optional[int] = ..., amount: _Optional[int] = ...) -> None: ...

class HoldPlaced(_message.Message):
    __slots__ = ("hold", "order", "amount", "expires_at", "allocations", "money_currency", "money_amount", "principal", "bonus")
    HOLD_FIELD_NUMBER: _ClassVar[int]
    ORDER_FIELD_NUMBER: _ClassVar[int]
    AMOUNT_FIELD_NUMBER: _ClassVar[int]
    EXPIRES_AT_FIELD_NUMBER: _ClassVar[int]
    ALLOCATIONS_FIELD_NUMBER: _ClassVar[int]
    MONEY_CURRENCY_FIELD_NUMBER: _ClassVar[int]
    MONEY_AMOUNT_FIELD_NUMBER: _ClassVar[int]
    PRINCIPAL_FIELD_NUMBER: _ClassVar[int]
    BONUS_FIELD_NUMBER: _ClassVar[int]
    hold: str
    order: str
    amount: int
    expires_at: _timestamp_pb2.Timestamp
    allocations: _containers.RepeatedCompositeFieldContainer[Allocation]
    money_currency: str
    money_amount: int
    principal: _containers.RepeatedCompositeFieldContainer[Allocation]
    bonus: _containers.RepeatedCompositeFieldContainer[Allocation]
    def __init__(self, hold: _Optional[str] = ..., order: _Optional[str] = ..., amount: _Optional[int] = ..., expires_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., allocations: _Optional[_Iterable[_Union[Allocation, _Mapping]]] = ..., money_currency: _Optional[str] = ..., money_amount: _Optional[int] = ..., principal: _Optional[_Iterable[_Union[Allocation, _Mapping]]] = ..., bonus: _Optional[_Iterable[_Union[Allocation, _Mapping]]] = ...) -> None: ...

class HoldCaptured(_message.Message):
    __slots__ = ("hold", "order", "amount", "allocations", "released", "left", "captured_before", "money_currency", "money_amount", "principal", "bonus", "principal_released", "bonus_released", "money_left", "money_captured_before")
    HOLD_FIELD_NUMBER: _ClassVar[int]
    ORDER_FIELD_NUMBER: _ClassVar[int]
    AMOUNT_FIELD_NUMBER: _ClassVar[int]
    ALLOCATIONS_FIELD_NUMBER: _ClassVar[int]
    RELEASED_FIELD_NUMBER: _ClassVar[int]
    LEFT_FIELD_NUMBER: _ClassVar[int]
    CAPTURED_BEFORE_FIELD_NUMBER: _ClassVar[int]
    MONEY_CURRENCY_FIELD_NUMBER: _ClassVar[int]
    MONEY_AMOUNT_FIELD_NUMBER: _ClassVar[int]
    PRINCIPAL_FIELD_NUMBER: _ClassVar[int]
    BONUS_FIELD_NUMBER: _ClassVar[int]
    PRINCIPAL_RELEASED_FIELD_NUMBER: _ClassVar[int]
    BONUS_RELEASED_FIELD_NUMBER: _ClassVar[int]
    MONEY_LEFT_FIELD_NUMBER: _ClassVar[int]
    MONEY_CAPTURED_BEFORE_FIELD_NUMBER: _ClassVar[int]
    hold: str
    order: str
    amount: int
    allocations: _containers.RepeatedCompositeFieldContainer[Allocation]
    released: _containers.RepeatedCompositeFieldContainer[Allocation]
    left: int
    captured_before: int
    money_currency: str
    money_amount: int
    principal: _containers.RepeatedCompositeFieldContainer[Allocation]
    bonus: _containers.RepeatedCompositeFieldContainer[Allocation]
    principal_released: _containers.RepeatedCompositeFieldContainer[Allocation]
    bonus_released: _containers.RepeatedCompositeFieldContainer[Allocation]
    money_left: int
    money_captured_before: int
    def __init__(self, hold: _Optional[str] = ..., order: _Optional[str] = ..., amount: _Optional[int] = ..., allocations: _Optional[_Iterable[_Union[Allocation, _Mapping]]] = ..., released: _Optional[_Iterable[_Union[Allocation, _Mapping]]] = ..., left: _Optional[int] = ..., captured_before: _Optional[int] = ..., money_currency: _Optional[str] = ..., money_amount: _Optional[int] = ..., principal: _Optional[_Iterable[_Union[Allocation, _Mapping]]] = ..., bonus: _Optional[_Iterable[_Union[Allocation, _Mapping]]] = ..., principal_released: _Optional[_Iterable[_Union[Allocation, _Mapping]]] = ..., bonus_released: _Optional[_Iterable[_Union[Allocation, _Mapping]]] = ..., money_left: _Optional[int] = ..., money_captured_before: _Optional[int] = ...) -> None: ...

class HoldReleased(_message.Message):
    __slots__ = ("hold", "order", "amount", "reason", "allocations", "captured", "money_currency", "money_amount", "principal", "bonus", "money_captured")
    HOLD_FIELD_NUMBER: _ClassVar[int]
    ORDER_FIELD_NUMBER: _ClassVar[int]
    AMOUNT_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    ALLOCATIONS_FIELD_NUMBER: _ClassVar[int]
    CAPTURED_FIELD_NUMBER: _ClassVar[int]
    MONEY_CURRENCY_FIELD_NUMBER: _ClassVar[int]
    MONEY_AMOUNT_FIELD_NUMBER: _ClassVar[int]
    PRINCIPAL_FIELD_NUMBER: _ClassVar[int]
    BONUS_FIELD_NUMBER: _ClassVar[int]
    MONEY_CAPTURED_FIELD_NUMBER: _ClassVar[int]
    hold: str
    order: str
    amount: int
    reason: str
    allocations: _containers.RepeatedCompositeFieldContainer[Allocation]
    captured: int
    money_currency: str
    money_amount: int
    principal: _containers.RepeatedCompositeFieldContainer[Allocation]
    bonus: _containers.RepeatedCompositeFieldContainer[Allocation]
    money_captured: int
    def __init__(self, hold: _Optional[str] = ..., order: _Optional[str] = ..., amount: _Optional[int] = ..., reason: _Optional[str] = ..., allocations: _Optional[_Iterable[_Union[Allocation, _Mapping]]] = ..., captured: _Optional[int] = ..., money_currency: _Optional[str] = ..., money_amount: _Optional[int] = ..., principal: _Optional[_Iterable[_Union[Allocation, _Mapping]]] = ..., bonus: _Optional[_Iterable[_Union[Allocation, _Mapping]]] = ..., money_captured: _Optional[int] = ...) -> None: ...

class SpendRefunded(_message.Message):
    __slots__ = ("refund", "order", "amount", "parts", "allocations", "debt_repaid", "left", "expired", "money_currency", "money_amount", "money_parts", "principal", "bonus", "money_left", "money_expired")
    REFUND_FIELD_NUMBER: _ClassVar[int]
    ORDER_FIELD_NUMBER: _ClassVar[int]
    AMOUNT_FIELD_NUMBER: _ClassVar[int]
    PARTS_FIELD_NUMBER: _ClassVar[int]
    ALLOCATIONS_FIELD_NUMBER: _ClassVar[int]
    DEBT_REPAID_FIELD_NUMBER: _ClassVar[int]
    LEFT_FIELD_NUMBER: _ClassVar[int]
    EXPIRED_FIELD_NUMBER: _ClassVar[int]
    MONEY_CURRENCY_FIELD_NUMBER: _ClassVar[int]
    MONEY_AMOUNT_FIELD_NUMBER: _ClassVar[int]
    MONEY_PARTS_FIELD_NUMBER: _ClassVar[int]
    PRINCIPAL_FIELD_NUMBER: _ClassVar[int]
    BONUS_FIELD_NUMBER: _ClassVar[int]
    MONEY_LEFT_FIELD_NUMBER: _ClassVar[int]
    MONEY_EXPIRED_FIELD_NUMBER: _ClassVar[int]
    refund: str
    order: str
    amount: int
    parts: _containers.RepeatedCompositeFieldContainer[SpentPart]
    allocations: _containers.RepeatedCompositeFieldContainer[Allocation]
    debt_repaid: int
    left: int
    expired: int
    money_currency: str
    money_amount: int
    money_parts: _containers.RepeatedCompositeFieldContainer[SpentPart]
    principal: _containers.RepeatedCompositeFieldContainer[Allocation]
    bonus: _containers.RepeatedCompositeFieldContainer[Allocation]
    money_left: int
    money_expired: int
    def __init__(self, refund: _Optional[str] = ..., order: _Optional[str] = ..., amount: _Optional[int] = ..., parts: _Optional[_Iterable[_Union[SpentPart, _Mapping]]] = ..., allocations: _Optional[_Iterable[_Union[Allocation, _Mapping]]] = ..., debt_repaid: _Optional[int] = ..., left: _Optional[int] = ..., expired: _Optional[int] = ..., money_currency: _Optional[str] = ..., money_amount: _Optional[int] = ..., money_parts: _Optional[_Iterable[_Union[SpentPart, _Mapping]]] = ..., principal: _Optional[_Iterable[_Union[Allocation, _Mapping]]] = ..., bonus: _Optional[_Iterable[_Union[Allocation, _Mapping]]] = ..., money_left: _Optional[int] = ..., money_expired: _Optional[int] = ...) -> None: ...

class SpentPart(_message.Message):
    __slots__ = ("hold", "lot", "amount")
    HOLD_FIELD_NUMBER: _ClassVar[int]
    LOT_FIELD_NUMBER: _ClassVar[int]
    AMOUNT_FIELD_NUMBER: _ClassVar[int]
    hold: str
    lot: int
    amount: int
    def __init__(self, hold: _Optional[str] = ..., lot: _Optional[int] = ..., amount: _Optional[int] = ...) -> None: ...

class LotsReinstated(_message.Message):
    __slots__ = ("lots", "until")
    LOTS_FIELD_NUMBER: _ClassVar[int]
    UNTIL_FIELD_NUMBER: _ClassVar[int]
    lots: _containers.RepeatedScalarFieldContainer[int]
    until: _timestamp_pb2.Timestamp
    def __init__(self, lots: _Optional[_Iterable[int]] = ..., until: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ...) -> None: ...

class PointsExpired(_message.Message):
    __slots__ = ("lot", "points", "pending")
    LOT_FIELD_NUMBER: _ClassVar[int]
    POINTS_FIELD_NUMBER: _ClassVar[int]
    PENDING_FIELD_NUMBER: _ClassVar[int]
    lot: int
    points: int
    pending: int
    def __init__(self, lot: _Optional[int] = ..., points: _Optional[int] = ..., pending: _Optional[int] = ...) -> None: ...

class PointsMatured(_message.Message):
    __slots__ = ("lot", "points")
    LOT_FIELD_NUMBER: _ClassVar[int]
    POINTS_FIELD_NUMBER: _ClassVar[int]
    lot: int
    points: int
    def __init__(self, lot: _Optional[int] = ..., points: _Optional[int] = ...) -> None: ...

class MemberActive(_message.Message):
    __slots__ = ("kind", "lapses_at")
    KIND_FIELD_NUMBER: _ClassVar[int]
    LAPSES_AT_FIELD_NUMBER: _ClassVar[int]
    kind: str
    lapses_at: _timestamp_pb2.Timestamp
    def __init__(self, kind: _Optional[str] = ..., lapses_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ...) -> None: ...

class MemberLapsed(_message.Message):
    __slots__ = ("points", "allocations", "pending")
    POINTS_FIELD_NUMBER: _ClassVar[int]
    ALLOCATIONS_FIELD_NUMBER: _ClassVar[int]
    PENDING_FIELD_NUMBER: _ClassVar[int]
    points: int
    allocations: _containers.RepeatedCompositeFieldContainer[Allocation]
    pending: int
    def __init__(self, points: _Optional[int] = ..., allocations: _Optional[_Iterable[_Union[Allocation, _Mapping]]] = ..., pending: _Optional[int] = ...) -> None: ...

class MembersMerged(_message.Message):
    __slots__ = ("absorbed", "points", "held", "debt", "before")
    ABSORBED_FIELD_NUMBER: _ClassVar[int]
    POINTS_FIELD_NUMBER: _ClassVar[int]
    HELD_FIELD_NUMBER: _ClassVar[int]
    DEBT_FIELD_NUMBER: _ClassVar[int]
    BEFORE_FIELD_NUMBER: _ClassVar[int]
    absorbed: str
    points: int
    held: int
    debt: int
    before: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, absorbed: _Optional[str] = ..., points: _Optional[int] = ..., held: _Optional[int] = ..., debt: _Optional[int] = ..., before: _Optional[_Iterable[str]] = ...) -> None: ...

class MemberAbsorbed(_message.Message):
    __slots__ = ("into", "allocations", "debt", "held", "holds", "identifiers", "pending", "money", "parked")
    INTO_FIELD_NUMBER: _ClassVar[int]
    ALLOCATIONS_FIELD_NUMBER: _ClassVar[int]
    DEBT_FIELD_NUMBER: _ClassVar[int]
    HELD_FIELD_NUMBER: _ClassVar[int]
    HOLDS_FIELD_NUMBER: _ClassVar[int]
    IDENTIFIERS_FIELD_NUMBER: _ClassVar[int]
    PENDING_FIELD_NUMBER: _ClassVar[int]
    MONEY_FIELD_NUMBER: _ClassVar[int]
    PARKED_FIELD_NUMBER: _ClassVar[int]
    into: str
    allocations: _containers.RepeatedCompositeFieldContainer[Allocation]
    debt: int
    held: int
    holds: _containers.RepeatedScalarFieldContainer[str]
    identifiers: _containers.RepeatedCompositeFieldContainer[HashedIdentifier]
    pending: int
    money: _containers.RepeatedCompositeFieldContainer[MovedMoney]
    parked: _containers.RepeatedCompositeFieldContainer[ParkedKey]
    def __init__(self, into: _Optional[str] = ..., allocations: _Optional[_Iterable[_Union[Allocation, _Mapping]]] = ..., debt: _Optional[int] = ..., held: _Optional[int] = ..., holds: _Optional[_Iterable[str]] = ..., identifiers: _Optional[_Iterable[_Union[HashedIdentifier, _Mapping]]] = ..., pending: _Optional[int] = ..., money: _Optional[_Iterable[_Union[MovedMoney, _Mapping]]] = ..., parked: _Optional[_Iterable[_Union[ParkedKey, _Mapping]]] = ...) -> None: ...

class MovedMoney(_message.Message):
    __slots__ = ("asset", "lot", "amount")
    ASSET_FIELD_NUMBER: _ClassVar[int]
    LOT_FIELD_NUMBER: _ClassVar[int]
    AMOUNT_FIELD_NUMBER: _ClassVar[int]
    asset: str
    lot: int
    amount: int
    def __init__(self, asset: _Optional[str] = ..., lot: _Optional[int] = ..., amount: _Optional[int] = ...) -> None: ...

class ParkedKey(_message.Message):
    __slots__ = ("purchase", "id")
    PURCHASE_FIELD_NUMBER: _ClassVar[int]
    ID_FIELD_NUMBER: _ClassVar[int]
    purchase: str
    id: str
    def __init__(self, purchase: _Optional[str] = ..., id: _Optional[str] = ...) -> None: ...

class LotMoved(_message.Message):
    __slots__ = ("lot", "amount", "points", "earned_at", "expires_at", "purchase", "matures_at", "asset")
    LOT_FIELD_NUMBER: _ClassVar[int]
    AMOUNT_FIELD_NUMBER: _ClassVar[int]
    POINTS_FIELD_NUMBER: _ClassVar[int]
    EARNED_AT_FIELD_NUMBER: _ClassVar[int]
    EXPIRES_AT_FIELD_NUMBER: _ClassVar[int]
    PURCHASE_FIELD_NUMBER: _ClassVar[int]
    MATURES_AT_FIELD_NUMBER: _ClassVar[int]
    ASSET_FIELD_NUMBER: _ClassVar[int]
    lot: int
    amount: int
    points: int
    earned_at: _timestamp_pb2.Timestamp
    expires_at: _timestamp_pb2.Timestamp
    purchase: str
    matures_at: _timestamp_pb2.Timestamp
    asset: str
    def __init__(self, lot: _Optional[int] = ..., amount: _Optional[int] = ..., points: _Optional[int] = ..., earned_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., expires_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., purchase: _Optional[str] = ..., matures_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., asset: _Optional[str] = ...) -> None: ...

class HoldMoved(_message.Message):
    __slots__ = ("hold", "order", "amount", "captured", "expires_at", "allocations", "state", "spent", "refunded", "money_currency", "money_amount", "money_captured", "money_allocations", "money_spent", "money_refunded")
    HOLD_FIELD_NUMBER: _ClassVar[int]
    ORDER_FIELD_NUMBER: _ClassVar[int]
    AMOUNT_FIELD_NUMBER: _ClassVar[int]
    CAPTURED_FIELD_NUMBER: _ClassVar[int]
    EXPIRES_AT_FIELD_NUMBER: _ClassVar[int]
    ALLOCATIONS_FIELD_NUMBER: _ClassVar[int]
    STATE_FIELD_NUMBER: _ClassVar[int]
    SPENT_FIELD_NUMBER: _ClassVar[int]
    REFUNDED_FIELD_NUMBER: _ClassVar[int]
    MONEY_CURRENCY_FIELD_NUMBER: _ClassVar[int]
    MONEY_AMOUNT_FIELD_NUMBER: _ClassVar[int]
    MONEY_CAPTURED_FIELD_NUMBER: _ClassVar[int]
    MONEY_ALLOCATIONS_FIELD_NUMBER: _ClassVar[int]
    MONEY_SPENT_FIELD_NUMBER: _ClassVar[int]
    MONEY_REFUNDED_FIELD_NUMBER: _ClassVar[int]
    hold: str
    order: str
    amount: int
    captured: int
    expires_at: _timestamp_pb2.Timestamp
    allocations: _containers.RepeatedCompositeFieldContainer[Allocation]
    state: str
    spent: _containers.RepeatedCompositeFieldContainer[Allocation]
    refunded: int
    money_currency: str
    money_amount: int
    money_captured: int
    money_allocations: _containers.RepeatedCompositeFieldContainer[Allocation]
    money_spent: _containers.RepeatedCompositeFieldContainer[Allocation]
    money_refunded: int
    def __init__(self, hold: _Optional[str] = ..., order: _Optional[str] = ..., amount: _Optional[int] = ..., captured: _Optional[int] = ..., expires_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., allocations: _Optional[_Iterable[_Union[Allocation, _Mapping]]] = ..., state: _Optional[str] = ..., spent: _Optional[_Iterable[_Union[Allocation, _Mapping]]] = ..., refunded: _Optional[int] = ..., money_currency: _Optional[str] = ..., money_amount: _Optional[int] = ..., money_captured: _Optional[int] = ..., money_allocations: _Optional[_Iterable[_Union[Allocation, _Mapping]]] = ..., money_spent: _Optional[_Iterable[_Union[Allocation, _Mapping]]] = ..., money_refunded: _Optional[int] = ...) -> None: ...

class TopUpMoved(_message.Message):
    __slots__ = ("top_up", "currency", "amount", "points", "bonus", "principal_lot", "bonus_lot", "bonus_expired", "reversed")
    TOP_UP_FIELD_NUMBER: _ClassVar[int]
    CURRENCY_FIELD_NUMBER: _ClassVar[int]
    AMOUNT_FIELD_NUMBER: _ClassVar[int]
    POINTS_FIELD_NUMBER: _ClassVar[int]
    BONUS_FIELD_NUMBER: _ClassVar[int]
    PRINCIPAL_LOT_FIELD_NUMBER: _ClassVar[int]
    BONUS_LOT_FIELD_NUMBER: _ClassVar[int]
    BONUS_EXPIRED_FIELD_NUMBER: _ClassVar[int]
    REVERSED_FIELD_NUMBER: _ClassVar[int]
    top_up: str
    currency: str
    amount: int
    points: int
    bonus: int
    principal_lot: int
    bonus_lot: int
    bonus_expired: int
    reversed: bool
    def __init__(self, top_up: _Optional[str] = ..., currency: _Optional[str] = ..., amount: _Optional[int] = ..., points: _Optional[int] = ..., bonus: _Optional[int] = ..., principal_lot: _Optional[int] = ..., bonus_lot: _Optional[int] = ..., bonus_expired: _Optional[int] = ..., reversed: _Optional[bool] = ...) -> None: ...

class AwardsMoved(_message.Message):
    __slots__ = ("counts",)
    COUNTS_FIELD_NUMBER: _ClassVar[int]
    counts: _containers.RepeatedCompositeFieldContainer[AwardCount]
    def __init__(self, counts: _Optional[_Iterable[_Union[AwardCount, _Mapping]]] = ...) -> None: ...

class AwardCount(_message.Message):
    __slots__ = ("slot", "awards")
    SLOT_FIELD_NUMBER: _ClassVar[int]
    AWARDS_FIELD_NUMBER: _ClassVar[int]
    slot: str
    awards: int
    def __init__(self, slot: _Optional[str] = ..., awards: _Optional[int] = ...) -> None: ...

class ReferralMoved(_message.Message):
    __slots__ = ("referral", "referrer", "registered_at", "qualified_at", "tasks")
    REFERRAL_FIELD_NUMBER: _ClassVar[int]
    REFERRER_FIELD_NUMBER: _ClassVar[int]
    REGISTERED_AT_FIELD_NUMBER: _ClassVar[int]
    QUALIFIED_AT_FIELD_NUMBER: _ClassVar[int]
    TASKS_FIELD_NUMBER: _ClassVar[int]
    referral: str
    referrer: str
    registered_at: _timestamp_pb2.Timestamp
    qualified_at: _timestamp_pb2.Timestamp
    tasks: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, referral: _Optional[str] = ..., referrer: _Optional[str] = ..., registered_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., qualified_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., tasks: _Optional[_Iterable[str]] = ...) -> None: ...

class SettlementMoved(_message.Message):
    __slots__ = ("purchase", "returned", "adjusted", "counters")
    PURCHASE_FIELD_NUMBER: _ClassVar[int]
    RETURNED_FIELD_NUMBER: _ClassVar[int]
    ADJUSTED_FIELD_NUMBER: _ClassVar[int]
    COUNTERS_FIELD_NUMBER: _ClassVar[int]
    purchase: str
    returned: _containers.RepeatedCompositeFieldContainer[ReturnedUnits]
    adjusted: int
    counters: _containers.RepeatedCompositeFieldContainer[Counter]
    def __init__(self, purchase: _Optional[str] = ..., returned: _Optional[_Iterable[_Union[ReturnedUnits, _Mapping]]] = ..., adjusted: _Optional[int] = ..., counters: _Optional[_Iterable[_Union[Counter, _Mapping]]] = ...) -> None: ...

class CountersMoved(_message.Message):
    __slots__ = ("counters",)
    COUNTERS_FIELD_NUMBER: _ClassVar[int]
    counters: _containers.RepeatedCompositeFieldContainer[Counter]
    def __init__(self, counters: _Optional[_Iterable[_Union[Counter, _Mapping]]] = ...) -> None: ...

class ReturnedUnits(_message.Message):
    __slots__ = ("line", "quantity")
    LINE_FIELD_NUMBER: _ClassVar[int]
    QUANTITY_FIELD_NUMBER: _ClassVar[int]
    line: int
    quantity: int
    def __init__(self, line: _Optional[int] = ..., quantity: _Optional[int] = ...) -> None: ...

class ActivityParked(_message.Message):
    __slots__ = ("kind", "reference", "activity")
    KIND_FIELD_NUMBER: _ClassVar[int]
    REFERENCE_FIELD_NUMBER: _ClassVar[int]
    ACTIVITY_FIELD_NUMBER: _ClassVar[int]
    kind: str
    reference: str
    activity: bytes
    def __init__(self, kind: _Optional[str] = ..., reference: _Optional[str] = ..., activity: _Optional[bytes] = ...) -> None: ...

class ActivityUnparked(_message.Message):
    __slots__ = ("parked", "member", "chain", "position", "rejection")
    PARKED_FIELD_NUMBER: _ClassVar[int]
    MEMBER_FIELD_NUMBER: _ClassVar[int]
    CHAIN_FIELD_NUMBER: _ClassVar[int]
    POSITION_FIELD_NUMBER: _ClassVar[int]
    REJECTION_FIELD_NUMBER: _ClassVar[int]
    parked: int
    member: str
    chain: int
    position: int
    rejection: str
    def __init__(self, parked: _Optional[int] = ..., member: _Optional[str] = ..., chain: _Optional[int] = ..., position: _Optional[int] = ..., rejection: _Optional[str] = ...) -> None: ...

class ProfileChanged(_message.Message):
    __slots__ = ("sealed",)
    SEALED_FIELD_NUMBER: _ClassVar[int]
    sealed: bytes
    def __init__(self, sealed: _Optional[bytes] = ...) -> None: ...

class MemberErased(_message.Message):
    __slots__ = ("identifiers",)
    IDENTIFIERS_FIELD_NUMBER: _ClassVar[int]
    identifiers: _containers.RepeatedCompositeFieldContainer[HashedIdentifier]
    def __init__(self, identifiers: _Optional[_Iterable[_Union[HashedIdentifier, _Mapping]]] = ...) -> None: ...

class TopUpRecorded(_message.Message):
    __slots__ = ("activity",)
    ACTIVITY_FIELD_NUMBER: _ClassVar[int]
    activity: _activities_pb2.TopUp
    def __init__(self, activity: _Optional[_Union[_activities_pb2.TopUp, _Mapping]] = ...) -> None: ...

class MoneyCredited(_message.Message):
    __slots__ = ("top_up", "asset", "amount", "reason", "expires_at")
    TOP_UP_FIELD_NUMBER: _ClassVar[int]
    ASSET_FIELD_NUMBER: _ClassVar[int]
    AMOUNT_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    EXPIRES_AT_FIELD_NUMBER: _ClassVar[int]
    top_up: str
    asset: str
    amount: int
    reason: str
    expires_at: _timestamp_pb2.Timestamp
    def __init__(self, top_up: _Optional[str] = ..., asset: _Optional[str] = ..., amount: _Optional[int] = ..., reason: _Optional[str] = ..., expires_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ...) -> None: ...

class MoneyTakenBack(_message.Message):
    __slots__ = ("award", "asset", "allocations")
    AWARD_FIELD_NUMBER: _ClassVar[int]
    ASSET_FIELD_NUMBER: _ClassVar[int]
    ALLOCATIONS_FIELD_NUMBER: _ClassVar[int]
    award: str
    asset: str
    allocations: _containers.RepeatedCompositeFieldContainer[Allocation]
    def __init__(self, award: _Optional[str] = ..., asset: _Optional[str] = ..., allocations: _Optional[_Iterable[_Union[Allocation, _Mapping]]] = ...) -> None: ...

class TopUpReversed(_message.Message):
    __slots__ = ("activity", "currency", "paid_out", "kept", "bonus")
    ACTIVITY_FIELD_NUMBER: _ClassVar[int]
    CURRENCY_FIELD_NUMBER: _ClassVar[int]
    PAID_OUT_FIELD_NUMBER: _ClassVar[int]
    KEPT_FIELD_NUMBER: _ClassVar[int]
    BONUS_FIELD_NUMBER: _ClassVar[int]
    activity: _activities_pb2.TopUpReversal
    currency: str
    paid_out: _containers.RepeatedCompositeFieldContainer[Allocation]
    kept: _containers.RepeatedCompositeFieldContainer[Allocation]
    bonus: _containers.RepeatedCompositeFieldContainer[Allocation]
    def __init__(self, activity: _Optional[_Union[_activities_pb2.TopUpReversal, _Mapping]] = ..., currency: _Optional[str] = ..., paid_out: _Optional[_Iterable[_Union[Allocation, _Mapping]]] = ..., kept: _Optional[_Iterable[_Union[Allocation, _Mapping]]] = ..., bonus: _Optional[_Iterable[_Union[Allocation, _Mapping]]] = ...) -> None: ...

class GiftSent(_message.Message):
    __slots__ = ("gift", "receiver", "currency", "amount", "principal", "bonus")
    GIFT_FIELD_NUMBER: _ClassVar[int]
    RECEIVER_FIELD_NUMBER: _ClassVar[int]
    CURRENCY_FIELD_NUMBER: _ClassVar[int]
    AMOUNT_FIELD_NUMBER: _ClassVar[int]
    PRINCIPAL_FIELD_NUMBER: _ClassVar[int]
    BONUS_FIELD_NUMBER: _ClassVar[int]
    gift: str
    receiver: str
    currency: str
    amount: int
    principal: _containers.RepeatedCompositeFieldContainer[Allocation]
    bonus: _containers.RepeatedCompositeFieldContainer[Allocation]
    def __init__(self, gift: _Optional[str] = ..., receiver: _Optional[str] = ..., currency: _Optional[str] = ..., amount: _Optional[int] = ..., principal: _Optional[_Iterable[_Union[Allocation, _Mapping]]] = ..., bonus: _Optional[_Iterable[_Union[Allocation, _Mapping]]] = ...) -> None: ...

class GiftReceived(_message.Message):
    __slots__ = ("gift", "giver", "asset", "amount", "expires_at")
    GIFT_FIELD_NUMBER: _ClassVar[int]
    GIVER_FIELD_NUMBER: _ClassVar[int]
    ASSET_FIELD_NUMBER: _ClassVar[int]
    AMOUNT_FIELD_NUMBER: _ClassVar[int]
    EXPIRES_AT_FIELD_NUMBER: _ClassVar[int]
    gift: str
    giver: str
    asset: str
    amount: int
    expires_at: _timestamp_pb2.Timestamp
    def __init__(self, gift: _Optional[str] = ..., giver: _Optional[str] = ..., asset: _Optional[str] = ..., amount: _Optional[int] = ..., expires_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ...) -> None: ...

class MoneyExpired(_message.Message):
    __slots__ = ("lot", "asset", "amount")
    LOT_FIELD_NUMBER: _ClassVar[int]
    ASSET_FIELD_NUMBER: _ClassVar[int]
    AMOUNT_FIELD_NUMBER: _ClassVar[int]
    lot: int
    asset: str
    amount: int
    def __init__(self, lot: _Optional[int] = ..., asset: _Optional[str] = ..., amount: _Optional[int] = ...) -> None: ...

class InteractionRecorded(_message.Message):
    __slots__ = ("interaction", "kind", "content", "channel", "store")
    INTERACTION_FIELD_NUMBER: _ClassVar[int]
    KIND_FIELD_NUMBER: _ClassVar[int]
    CONTENT_FIELD_NUMBER: _ClassVar[int]
    CHANNEL_FIELD_NUMBER: _ClassVar[int]
    STORE_FIELD_NUMBER: _ClassVar[int]
    interaction: str
    kind: str
    content: str
    channel: str
    store: str
    def __init__(self, interaction: _Optional[str] = ..., kind: _Optional[str] = ..., content: _Optional[str] = ..., channel: _Optional[str] = ..., store: _Optional[str] = ...) -> None: ...

class PointsAwarded(_message.Message):
    __slots__ = ("source", "source_id", "points", "campaign", "budget_left", "expires_at", "debt_repaid", "version", "counted")
    SOURCE_FIELD_NUMBER: _ClassVar[int]
    SOURCE_ID_FIELD_NUMBER: _ClassVar[int]
    POINTS_FIELD_NUMBER: _ClassVar[int]
    CAMPAIGN_FIELD_NUMBER: _ClassVar[int]
    BUDGET_LEFT_FIELD_NUMBER: _ClassVar[int]
    EXPIRES_AT_FIELD_NUMBER: _ClassVar[int]
    DEBT_REPAID_FIELD_NUMBER: _ClassVar[int]
    VERSION_FIELD_NUMBER: _ClassVar[int]
    COUNTED_FIELD_NUMBER: _ClassVar[int]
    source: str
    source_id: str
    points: int
    campaign: str
    budget_left: int
    expires_at: _timestamp_pb2.Timestamp
    debt_repaid: int
    version: str
    counted: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, source: _Optional[str] = ..., source_id: _Optional[str] = ..., points: _Optional[int] = ..., campaign: _Optional[str] = ..., budget_left: _Optional[int] = ..., expires_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., debt_repaid: _Optional[int] = ..., version: _Optional[str] = ..., counted: _Optional[_Iterable[str]] = ...) -> None: ...

class AwardWithheld(_message.Message):
    __slots__ = ("source", "source_id", "reason", "points", "campaign", "budget_left")
    SOURCE_FIELD_NUMBER: _ClassVar[int]
    SOURCE_ID_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    POINTS_FIELD_NUMBER: _ClassVar[int]
    CAMPAIGN_FIELD_NUMBER: _ClassVar[int]
    BUDGET_LEFT_FIELD_NUMBER: _ClassVar[int]
    source: str
    source_id: str
    reason: str
    points: int
    campaign: str
    budget_left: int
    def __init__(self, source: _Optional[str] = ..., source_id: _Optional[str] = ..., reason: _Optional[str] = ..., points: _Optional[int] = ..., campaign: _Optional[str] = ..., budget_left: _Optional[int] = ...) -> None: ...

class ReferralRegistered(_message.Message):
    __slots__ = ("referral", "referrer")
    REFERRAL_FIELD_NUMBER: _ClassVar[int]
    REFERRER_FIELD_NUMBER: _ClassVar[int]
    referral: str
    referrer: str
    def __init__(self, referral: _Optional[str] = ..., referrer: _Optional[str] = ...) -> None: ...

class ReferralTaskDone(_message.Message):
    __slots__ = ("referral", "task", "owed")
    REFERRAL_FIELD_NUMBER: _ClassVar[int]
    TASK_FIELD_NUMBER: _ClassVar[int]
    OWED_FIELD_NUMBER: _ClassVar[int]
    referral: str
    task: str
    owed: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, referral: _Optional[str] = ..., task: _Optional[str] = ..., owed: _Optional[_Iterable[str]] = ...) -> None: ...

class ReferralQualified(_message.Message):
    __slots__ = ("referral", "referrer", "by", "cause", "owed")
    REFERRAL_FIELD_NUMBER: _ClassVar[int]
    REFERRER_FIELD_NUMBER: _ClassVar[int]
    BY_FIELD_NUMBER: _ClassVar[int]
    CAUSE_FIELD_NUMBER: _ClassVar[int]
    OWED_FIELD_NUMBER: _ClassVar[int]
    referral: str
    referrer: str
    by: str
    cause: str
    owed: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, referral: _Optional[str] = ..., referrer: _Optional[str] = ..., by: _Optional[str] = ..., cause: _Optional[str] = ..., owed: _Optional[_Iterable[str]] = ...) -> None: ...

class ReferralRewarded(_message.Message):
    __slots__ = ("referral", "referrer", "sides")
    REFERRAL_FIELD_NUMBER: _ClassVar[int]
    REFERRER_FIELD_NUMBER: _ClassVar[int]
    SIDES_FIELD_NUMBER: _ClassVar[int]
    referral: str
    referrer: str
    sides: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, referral: _Optional[str] = ..., referrer: _Optional[str] = ..., sides: _Optional[_Iterable[str]] = ...) -> None: ...

class IdentifiersUnlinked(_message.Message):
    __slots__ = ("identifiers",)
    IDENTIFIERS_FIELD_NUMBER: _ClassVar[int]
    identifiers: _containers.RepeatedCompositeFieldContainer[HashedIdentifier]
    def __init__(self, identifiers: _Optional[_Iterable[_Union[HashedIdentifier, _Mapping]]] = ...) -> None: ...

class AdjustmentRequested(_message.Message):
    __slots__ = ("adjustment", "points", "reason", "note", "requested_by")
    ADJUSTMENT_FIELD_NUMBER: _ClassVar[int]
    POINTS_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    NOTE_FIELD_NUMBER: _ClassVar[int]
    REQUESTED_BY_FIELD_NUMBER: _ClassVar[int]
    adjustment: str
    points: int
    reason: str
    note: str
    requested_by: str
    def __init__(self, adjustment: _Optional[str] = ..., points: _Optional[int] = ..., reason: _Optional[str] = ..., note: _Optional[str] = ..., requested_by: _Optional[str] = ...) -> None: ...

class AdjustmentDeclined(_message.Message):
    __slots__ = ("adjustment", "note", "declined_by")
    ADJUSTMENT_FIELD_NUMBER: _ClassVar[int]
    NOTE_FIELD_NUMBER: _ClassVar[int]
    DECLINED_BY_FIELD_NUMBER: _ClassVar[int]
    adjustment: str
    note: str
    declined_by: str
    def __init__(self, adjustment: _Optional[str] = ..., note: _Optional[str] = ..., declined_by: _Optional[str] = ...) -> None: ...

class PointsAdjusted(_message.Message):
    __slots__ = ("adjustment", "points", "reason", "note", "requested_by", "approved_by", "expires_at", "debt_repaid", "allocations")
    ADJUSTMENT_FIELD_NUMBER: _ClassVar[int]
    POINTS_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    NOTE_FIELD_NUMBER: _ClassVar[int]
    REQUESTED_BY_FIELD_NUMBER: _ClassVar[int]
    APPROVED_BY_FIELD_NUMBER: _ClassVar[int]
    EXPIRES_AT_FIELD_NUMBER: _ClassVar[int]
    DEBT_REPAID_FIELD_NUMBER: _ClassVar[int]
    ALLOCATIONS_FIELD_NUMBER: _ClassVar[int]
    adjustment: str
    points: int
    reason: str
    note: str
    requested_by: str
    approved_by: str
    expires_at: _timestamp_pb2.Timestamp
    debt_repaid: int
    allocations: _containers.RepeatedCompositeFieldContainer[Allocation]
    def __init__(self, adjustment: _Optional[str] = ..., points: _Optional[int] = ..., reason: _Optional[str] = ..., note: _Optional[str] = ..., requested_by: _Optional[str] = ..., approved_by: _Optional[str] = ..., expires_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., debt_repaid: _Optional[int] = ..., allocations: _Optional[_Iterable[_Union[Allocation, _Mapping]]] = ...) -> None: ...

class MemberSuspended(_message.Message):
    __slots__ = ("reason", "by")
    REASON_FIELD_NUMBER: _ClassVar[int]
    BY_FIELD_NUMBER: _ClassVar[int]
    reason: str
    by: str
    def __init__(self, reason: _Optional[str] = ..., by: _Optional[str] = ...) -> None: ...

class MemberReactivated(_message.Message):
    __slots__ = ("reason", "by")
    REASON_FIELD_NUMBER: _ClassVar[int]
    BY_FIELD_NUMBER: _ClassVar[int]
    reason: str
    by: str
    def __init__(self, reason: _Optional[str] = ..., by: _Optional[str] = ...) -> None: ...

class MemberClosed(_message.Message):
    __slots__ = ("reason", "by", "points", "allocations", "debt", "pending")
    REASON_FIELD_NUMBER: _ClassVar[int]
    BY_FIELD_NUMBER: _ClassVar[int]
    POINTS_FIELD_NUMBER: _ClassVar[int]
    ALLOCATIONS_FIELD_NUMBER: _ClassVar[int]
    DEBT_FIELD_NUMBER: _ClassVar[int]
    PENDING_FIELD_NUMBER: _ClassVar[int]
    reason: str
    by: str
    points: int
    allocations: _containers.RepeatedCompositeFieldContainer[Allocation]
    debt: int
    pending: int
    def __init__(self, reason: _Optional[str] = ..., by: _Optional[str] = ..., points: _Optional[int] = ..., allocations: _Optional[_Iterable[_Union[Allocation, _Mapping]]] = ..., debt: _Optional[int] = ..., pending: _Optional[int] = ...) -> None: ...

class ActivityRejected(_message.Message):
    __slots__ = ("kind", "code", "detail")
    KIND_FIELD_NUMBER: _ClassVar[int]
    CODE_FIELD_NUMBER: _ClassVar[int]
    DETAIL_FIELD_NUMBER: _ClassVar[int]
    kind: str
    code: str
    detail: str
    def __init__(self, kind: _Optional[str] = ..., code: _Optional[str] = ..., detail: _Optional[str] = ...) -> None: ...
