import datetime

from google.protobuf import timestamp_pb2 as _timestamp_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class RedemptionRequested(_message.Message):
    __slots__ = ("redemption", "reward", "order", "points", "ttl_seconds", "kind", "name", "value", "pack", "currency", "money", "store", "outside", "stocked", "draw", "tickets", "days", "basket", "vouchers", "paying_points", "worth")
    REDEMPTION_FIELD_NUMBER: _ClassVar[int]
    REWARD_FIELD_NUMBER: _ClassVar[int]
    ORDER_FIELD_NUMBER: _ClassVar[int]
    POINTS_FIELD_NUMBER: _ClassVar[int]
    TTL_SECONDS_FIELD_NUMBER: _ClassVar[int]
    KIND_FIELD_NUMBER: _ClassVar[int]
    NAME_FIELD_NUMBER: _ClassVar[int]
    VALUE_FIELD_NUMBER: _ClassVar[int]
    PACK_FIELD_NUMBER: _ClassVar[int]
    CURRENCY_FIELD_NUMBER: _ClassVar[int]
    MONEY_FIELD_NUMBER: _ClassVar[int]
    STORE_FIELD_NUMBER: _ClassVar[int]
    OUTSIDE_FIELD_NUMBER: _ClassVar[int]
    STOCKED_FIELD_NUMBER: _ClassVar[int]
    DRAW_FIELD_NUMBER: _ClassVar[int]
    TICKETS_FIELD_NUMBER: _ClassVar[int]
    DAYS_FIELD_NUMBER: _ClassVar[int]
    BASKET_FIELD_NUMBER: _ClassVar[int]
    VOUCHERS_FIELD_NUMBER: _ClassVar[int]
    PAYING_POINTS_FIELD_NUMBER: _ClassVar[int]
    WORTH_FIELD_NUMBER: _ClassVar[int]
    redemption: str
    reward: str
    order: str
    points: int
    ttl_seconds: int
    kind: str
    name: str
    value: int
    pack: VoucherPack
    currency: str
    money: int
    store: str
    outside: int
    stocked: bool
    draw: str
    tickets: int
    days: int
    basket: Basket
    vouchers: _containers.RepeatedCompositeFieldContainer[PayingVoucher]
    paying_points: int
    worth: int
    def __init__(self, redemption: _Optional[str] = ..., reward: _Optional[str] = ..., order: _Optional[str] = ..., points: _Optional[int] = ..., ttl_seconds: _Optional[int] = ..., kind: _Optional[str] = ..., name: _Optional[str] = ..., value: _Optional[int] = ..., pack: _Optional[_Union[VoucherPack, _Mapping]] = ..., currency: _Optional[str] = ..., money: _Optional[int] = ..., store: _Optional[str] = ..., outside: _Optional[int] = ..., stocked: _Optional[bool] = ..., draw: _Optional[str] = ..., tickets: _Optional[int] = ..., days: _Optional[int] = ..., basket: _Optional[_Union[Basket, _Mapping]] = ..., vouchers: _Optional[_Iterable[_Union[PayingVoucher, _Mapping]]] = ..., paying_points: _Optional[int] = ..., worth: _Optional[int] = ...) -> None: ...

class PayingVoucher(_message.Message):
    __slots__ = ("voucher", "discount")
    VOUCHER_FIELD_NUMBER: _ClassVar[int]
    DISCOUNT_FIELD_NUMBER: _ClassVar[int]
    voucher: str
    discount: int
    def __init__(self, voucher: _Optional[str] = ..., discount: _Optional[int] = ...) -> None: ...

class Basket(_message.Message):
    __slots__ = ("lines",)
    LINES_FIELD_NUMBER: _ClassVar[int]
    lines: _containers.RepeatedCompositeFieldContainer[BasketLine]
    def __init__(self, lines: _Optional[_Iterable[_Union[BasketLine, _Mapping]]] = ...) -> None: ...

class BasketLine(_message.Message):
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

class RefundRequested(_message.Message):
    __slots__ = ("redemption", "refund", "number", "points", "money", "outside", "lines", "restock", "value")
    REDEMPTION_FIELD_NUMBER: _ClassVar[int]
    REFUND_FIELD_NUMBER: _ClassVar[int]
    NUMBER_FIELD_NUMBER: _ClassVar[int]
    POINTS_FIELD_NUMBER: _ClassVar[int]
    MONEY_FIELD_NUMBER: _ClassVar[int]
    OUTSIDE_FIELD_NUMBER: _ClassVar[int]
    LINES_FIELD_NUMBER: _ClassVar[int]
    RESTOCK_FIELD_NUMBER: _ClassVar[int]
    VALUE_FIELD_NUMBER: _ClassVar[int]
    redemption: str
    refund: str
    number: int
    points: int
    money: int
    outside: int
    lines: _containers.RepeatedCompositeFieldContainer[RefundedLine]
    restock: bool
    value: int
    def __init__(self, redemption: _Optional[str] = ..., refund: _Optional[str] = ..., number: _Optional[int] = ..., points: _Optional[int] = ..., money: _Optional[int] = ..., outside: _Optional[int] = ..., lines: _Optional[_Iterable[_Union[RefundedLine, _Mapping]]] = ..., restock: _Optional[bool] = ..., value: _Optional[int] = ...) -> None: ...

class RefundedLine(_message.Message):
    __slots__ = ("line", "quantity")
    LINE_FIELD_NUMBER: _ClassVar[int]
    QUANTITY_FIELD_NUMBER: _ClassVar[int]
    line: int
    quantity: int
    def __init__(self, line: _Optional[int] = ..., quantity: _Optional[int] = ...) -> None: ...

class RedemptionRefunded(_message.Message):
    __slots__ = ("redemption", "refund", "points", "money", "outside", "whole")
    REDEMPTION_FIELD_NUMBER: _ClassVar[int]
    REFUND_FIELD_NUMBER: _ClassVar[int]
    POINTS_FIELD_NUMBER: _ClassVar[int]
    MONEY_FIELD_NUMBER: _ClassVar[int]
    OUTSIDE_FIELD_NUMBER: _ClassVar[int]
    WHOLE_FIELD_NUMBER: _ClassVar[int]
    redemption: str
    refund: str
    points: int
    money: int
    outside: int
    whole: bool
    def __init__(self, redemption: _Optional[str] = ..., refund: _Optional[str] = ..., points: _Optional[int] = ..., money: _Optional[int] = ..., outside: _Optional[int] = ..., whole: _Optional[bool] = ...) -> None: ...

class RefundRefused(_message.Message):
    __slots__ = ("redemption", "refund", "code", "detail")
    REDEMPTION_FIELD_NUMBER: _ClassVar[int]
    REFUND_FIELD_NUMBER: _ClassVar[int]
    CODE_FIELD_NUMBER: _ClassVar[int]
    DETAIL_FIELD_NUMBER: _ClassVar[int]
    redemption: str
    refund: str
    code: str
    detail: str
    def __init__(self, redemption: _Optional[str] = ..., refund: _Optional[str] = ..., code: _Optional[str] = ..., detail: _Optional[str] = ...) -> None: ...

class Refunds(_message.Message):
    __slots__ = ("refunds",)
    REFUNDS_FIELD_NUMBER: _ClassVar[int]
    refunds: _containers.RepeatedCompositeFieldContainer[Refund]
    def __init__(self, refunds: _Optional[_Iterable[_Union[Refund, _Mapping]]] = ...) -> None: ...

class Refund(_message.Message):
    __slots__ = ("asked", "state", "code", "detail")
    ASKED_FIELD_NUMBER: _ClassVar[int]
    STATE_FIELD_NUMBER: _ClassVar[int]
    CODE_FIELD_NUMBER: _ClassVar[int]
    DETAIL_FIELD_NUMBER: _ClassVar[int]
    asked: RefundRequested
    state: str
    code: str
    detail: str
    def __init__(self, asked: _Optional[_Union[RefundRequested, _Mapping]] = ..., state: _Optional[str] = ..., code: _Optional[str] = ..., detail: _Optional[str] = ...) -> None: ...

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

class VoucherHeld(_message.Message):
    __slots__ = ("voucher", "order", "discount")
    VOUCHER_FIELD_NUMBER: _ClassVar[int]
    ORDER_FIELD_NUMBER: _ClassVar[int]
    DISCOUNT_FIELD_NUMBER: _ClassVar[int]
    voucher: str
    order: str
    discount: int
    def __init__(self, voucher: _Optional[str] = ..., order: _Optional[str] = ..., discount: _Optional[int] = ...) -> None: ...

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
    __slots__ = ("grant", "slot", "occasion", "vouchers", "budgeted", "points", "tickets", "money")
    GRANT_FIELD_NUMBER: _ClassVar[int]
    SLOT_FIELD_NUMBER: _ClassVar[int]
    OCCASION_FIELD_NUMBER: _ClassVar[int]
    VOUCHERS_FIELD_NUMBER: _ClassVar[int]
    BUDGETED_FIELD_NUMBER: _ClassVar[int]
    POINTS_FIELD_NUMBER: _ClassVar[int]
    TICKETS_FIELD_NUMBER: _ClassVar[int]
    MONEY_FIELD_NUMBER: _ClassVar[int]
    grant: str
    slot: str
    occasion: str
    vouchers: int
    budgeted: bool
    points: int
    tickets: int
    money: int
    def __init__(self, grant: _Optional[str] = ..., slot: _Optional[str] = ..., occasion: _Optional[str] = ..., vouchers: _Optional[int] = ..., budgeted: _Optional[bool] = ..., points: _Optional[int] = ..., tickets: _Optional[int] = ..., money: _Optional[int] = ...) -> None: ...

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

class Gift(_message.Message):
    __slots__ = ("pack", "points", "draw", "tickets", "reward", "money", "currency")
    PACK_FIELD_NUMBER: _ClassVar[int]
    POINTS_FIELD_NUMBER: _ClassVar[int]
    DRAW_FIELD_NUMBER: _ClassVar[int]
    TICKETS_FIELD_NUMBER: _ClassVar[int]
    REWARD_FIELD_NUMBER: _ClassVar[int]
    MONEY_FIELD_NUMBER: _ClassVar[int]
    CURRENCY_FIELD_NUMBER: _ClassVar[int]
    pack: VoucherPack
    points: int
    draw: str
    tickets: int
    reward: str
    money: int
    currency: str
    def __init__(self, pack: _Optional[_Union[VoucherPack, _Mapping]] = ..., points: _Optional[int] = ..., draw: _Optional[str] = ..., tickets: _Optional[int] = ..., reward: _Optional[str] = ..., money: _Optional[int] = ..., currency: _Optional[str] = ...) -> None: ...

class PointsPromised(_message.Message):
    __slots__ = ("award", "points", "source", "source_id")
    AWARD_FIELD_NUMBER: _ClassVar[int]
    POINTS_FIELD_NUMBER: _ClassVar[int]
    SOURCE_FIELD_NUMBER: _ClassVar[int]
    SOURCE_ID_FIELD_NUMBER: _ClassVar[int]
    award: str
    points: int
    source: str
    source_id: str
    def __init__(self, award: _Optional[str] = ..., points: _Optional[int] = ..., source: _Optional[str] = ..., source_id: _Optional[str] = ...) -> None: ...

class PointsGiven(_message.Message):
    __slots__ = ("award",)
    AWARD_FIELD_NUMBER: _ClassVar[int]
    award: str
    def __init__(self, award: _Optional[str] = ...) -> None: ...

class PointsRefused(_message.Message):
    __slots__ = ("award", "code", "detail")
    AWARD_FIELD_NUMBER: _ClassVar[int]
    CODE_FIELD_NUMBER: _ClassVar[int]
    DETAIL_FIELD_NUMBER: _ClassVar[int]
    award: str
    code: str
    detail: str
    def __init__(self, award: _Optional[str] = ..., code: _Optional[str] = ..., detail: _Optional[str] = ...) -> None: ...

class MoneyPromised(_message.Message):
    __slots__ = ("award", "amount", "currency", "source", "source_id")
    AWARD_FIELD_NUMBER: _ClassVar[int]
    AMOUNT_FIELD_NUMBER: _ClassVar[int]
    CURRENCY_FIELD_NUMBER: _ClassVar[int]
    SOURCE_FIELD_NUMBER: _ClassVar[int]
    SOURCE_ID_FIELD_NUMBER: _ClassVar[int]
    award: str
    amount: int
    currency: str
    source: str
    source_id: str
    def __init__(self, award: _Optional[str] = ..., amount: _Optional[int] = ..., currency: _Optional[str] = ..., source: _Optional[str] = ..., source_id: _Optional[str] = ...) -> None: ...

class MoneyGiven(_message.Message):
    __slots__ = ("award",)
    AWARD_FIELD_NUMBER: _ClassVar[int]
    award: str
    def __init__(self, award: _Optional[str] = ...) -> None: ...

class MoneyRefused(_message.Message):
    __slots__ = ("award", "code", "detail")
    AWARD_FIELD_NUMBER: _ClassVar[int]
    CODE_FIELD_NUMBER: _ClassVar[int]
    DETAIL_FIELD_NUMBER: _ClassVar[int]
    award: str
    code: str
    detail: str
    def __init__(self, award: _Optional[str] = ..., code: _Optional[str] = ..., detail: _Optional[str] = ...) -> None: ...

class TicketsGiven(_message.Message):
    __slots__ = ("draw", "tickets", "source", "source_id")
    DRAW_FIELD_NUMBER: _ClassVar[int]
    TICKETS_FIELD_NUMBER: _ClassVar[int]
    SOURCE_FIELD_NUMBER: _ClassVar[int]
    SOURCE_ID_FIELD_NUMBER: _ClassVar[int]
    draw: str
    tickets: int
    source: str
    source_id: str
    def __init__(self, draw: _Optional[str] = ..., tickets: _Optional[int] = ..., source: _Optional[str] = ..., source_id: _Optional[str] = ...) -> None: ...

class TicketsTaken(_message.Message):
    __slots__ = ("draw", "tickets", "source", "source_id")
    DRAW_FIELD_NUMBER: _ClassVar[int]
    TICKETS_FIELD_NUMBER: _ClassVar[int]
    SOURCE_FIELD_NUMBER: _ClassVar[int]
    SOURCE_ID_FIELD_NUMBER: _ClassVar[int]
    draw: str
    tickets: int
    source: str
    source_id: str
    def __init__(self, draw: _Optional[str] = ..., tickets: _Optional[int] = ..., source: _Optional[str] = ..., source_id: _Optional[str] = ...) -> None: ...

class Prize(_message.Message):
    __slots__ = ("id", "name", "weight", "stock", "cost", "give")
    ID_FIELD_NUMBER: _ClassVar[int]
    NAME_FIELD_NUMBER: _ClassVar[int]
    WEIGHT_FIELD_NUMBER: _ClassVar[int]
    STOCK_FIELD_NUMBER: _ClassVar[int]
    COST_FIELD_NUMBER: _ClassVar[int]
    GIVE_FIELD_NUMBER: _ClassVar[int]
    id: str
    name: str
    weight: int
    stock: int
    cost: int
    give: _containers.RepeatedCompositeFieldContainer[Gift]
    def __init__(self, id: _Optional[str] = ..., name: _Optional[str] = ..., weight: _Optional[int] = ..., stock: _Optional[int] = ..., cost: _Optional[int] = ..., give: _Optional[_Iterable[_Union[Gift, _Mapping]]] = ...) -> None: ...

class DrawTerms(_message.Message):
    __slots__ = ("id", "prizes", "budget_day", "budget_ever", "pity_after", "pity_prize")
    ID_FIELD_NUMBER: _ClassVar[int]
    PRIZES_FIELD_NUMBER: _ClassVar[int]
    BUDGET_DAY_FIELD_NUMBER: _ClassVar[int]
    BUDGET_EVER_FIELD_NUMBER: _ClassVar[int]
    PITY_AFTER_FIELD_NUMBER: _ClassVar[int]
    PITY_PRIZE_FIELD_NUMBER: _ClassVar[int]
    id: str
    prizes: _containers.RepeatedCompositeFieldContainer[Prize]
    budget_day: int
    budget_ever: int
    pity_after: int
    pity_prize: str
    def __init__(self, id: _Optional[str] = ..., prizes: _Optional[_Iterable[_Union[Prize, _Mapping]]] = ..., budget_day: _Optional[int] = ..., budget_ever: _Optional[int] = ..., pity_after: _Optional[int] = ..., pity_prize: _Optional[str] = ...) -> None: ...

class TurnBegun(_message.Message):
    __slots__ = ("turn", "terms", "seed", "day", "points")
    TURN_FIELD_NUMBER: _ClassVar[int]
    TERMS_FIELD_NUMBER: _ClassVar[int]
    SEED_FIELD_NUMBER: _ClassVar[int]
    DAY_FIELD_NUMBER: _ClassVar[int]
    POINTS_FIELD_NUMBER: _ClassVar[int]
    turn: str
    terms: DrawTerms
    seed: bytes
    day: str
    points: int
    def __init__(self, turn: _Optional[str] = ..., terms: _Optional[_Union[DrawTerms, _Mapping]] = ..., seed: _Optional[bytes] = ..., day: _Optional[str] = ..., points: _Optional[int] = ...) -> None: ...

class TurnRefused(_message.Message):
    __slots__ = ("turn", "draw", "day", "code", "detail")
    TURN_FIELD_NUMBER: _ClassVar[int]
    DRAW_FIELD_NUMBER: _ClassVar[int]
    DAY_FIELD_NUMBER: _ClassVar[int]
    CODE_FIELD_NUMBER: _ClassVar[int]
    DETAIL_FIELD_NUMBER: _ClassVar[int]
    turn: str
    draw: str
    day: str
    code: str
    detail: str
    def __init__(self, turn: _Optional[str] = ..., draw: _Optional[str] = ..., day: _Optional[str] = ..., code: _Optional[str] = ..., detail: _Optional[str] = ...) -> None: ...

class Chance(_message.Message):
    __slots__ = ("prize", "weight", "out", "loss")
    PRIZE_FIELD_NUMBER: _ClassVar[int]
    WEIGHT_FIELD_NUMBER: _ClassVar[int]
    OUT_FIELD_NUMBER: _ClassVar[int]
    LOSS_FIELD_NUMBER: _ClassVar[int]
    prize: str
    weight: int
    out: bool
    loss: bool
    def __init__(self, prize: _Optional[str] = ..., weight: _Optional[int] = ..., out: _Optional[bool] = ..., loss: _Optional[bool] = ...) -> None: ...

class Count(_message.Message):
    __slots__ = ("counter", "added")
    COUNTER_FIELD_NUMBER: _ClassVar[int]
    ADDED_FIELD_NUMBER: _ClassVar[int]
    counter: str
    added: int
    def __init__(self, counter: _Optional[str] = ..., added: _Optional[int] = ...) -> None: ...

class DrawMade(_message.Message):
    __slots__ = ("turn", "draw", "day", "pay", "points", "seed", "number", "chances", "pity", "fell_on", "prize", "won", "counts", "rewards", "tickets")
    TURN_FIELD_NUMBER: _ClassVar[int]
    DRAW_FIELD_NUMBER: _ClassVar[int]
    DAY_FIELD_NUMBER: _ClassVar[int]
    PAY_FIELD_NUMBER: _ClassVar[int]
    POINTS_FIELD_NUMBER: _ClassVar[int]
    SEED_FIELD_NUMBER: _ClassVar[int]
    NUMBER_FIELD_NUMBER: _ClassVar[int]
    CHANCES_FIELD_NUMBER: _ClassVar[int]
    PITY_FIELD_NUMBER: _ClassVar[int]
    FELL_ON_FIELD_NUMBER: _ClassVar[int]
    PRIZE_FIELD_NUMBER: _ClassVar[int]
    WON_FIELD_NUMBER: _ClassVar[int]
    COUNTS_FIELD_NUMBER: _ClassVar[int]
    REWARDS_FIELD_NUMBER: _ClassVar[int]
    TICKETS_FIELD_NUMBER: _ClassVar[int]
    turn: str
    draw: str
    day: str
    pay: str
    points: int
    seed: bytes
    number: int
    chances: _containers.RepeatedCompositeFieldContainer[Chance]
    pity: str
    fell_on: str
    prize: str
    won: bool
    counts: _containers.RepeatedCompositeFieldContainer[Count]
    rewards: _containers.RepeatedScalarFieldContainer[str]
    tickets: int
    def __init__(self, turn: _Optional[str] = ..., draw: _Optional[str] = ..., day: _Optional[str] = ..., pay: _Optional[str] = ..., points: _Optional[int] = ..., seed: _Optional[bytes] = ..., number: _Optional[int] = ..., chances: _Optional[_Iterable[_Union[Chance, _Mapping]]] = ..., pity: _Optional[str] = ..., fell_on: _Optional[str] = ..., prize: _Optional[str] = ..., won: _Optional[bool] = ..., counts: _Optional[_Iterable[_Union[Count, _Mapping]]] = ..., rewards: _Optional[_Iterable[str]] = ..., tickets: _Optional[int] = ...) -> None: ...

class HoldingsLeft(_message.Message):
    __slots__ = ("into", "vouchers", "redemptions", "awards", "draws", "grants")
    INTO_FIELD_NUMBER: _ClassVar[int]
    VOUCHERS_FIELD_NUMBER: _ClassVar[int]
    REDEMPTIONS_FIELD_NUMBER: _ClassVar[int]
    AWARDS_FIELD_NUMBER: _ClassVar[int]
    DRAWS_FIELD_NUMBER: _ClassVar[int]
    GRANTS_FIELD_NUMBER: _ClassVar[int]
    into: str
    vouchers: _containers.RepeatedScalarFieldContainer[str]
    redemptions: _containers.RepeatedScalarFieldContainer[str]
    awards: _containers.RepeatedScalarFieldContainer[str]
    draws: _containers.RepeatedScalarFieldContainer[str]
    grants: _containers.RepeatedCompositeFieldContainer[GrantSlot]
    def __init__(self, into: _Optional[str] = ..., vouchers: _Optional[_Iterable[str]] = ..., redemptions: _Optional[_Iterable[str]] = ..., awards: _Optional[_Iterable[str]] = ..., draws: _Optional[_Iterable[str]] = ..., grants: _Optional[_Iterable[_Union[GrantSlot, _Mapping]]] = ...) -> None: ...

class GrantSlot(_message.Message):
    __slots__ = ("grant", "slot")
    GRANT_FIELD_NUMBER: _ClassVar[int]
    SLOT_FIELD_NUMBER: _ClassVar[int]
    grant: str
    slot: str
    def __init__(self, grant: _Optional[str] = ..., slot: _Optional[str] = ...) -> None: ...

class VoucherMoved(_message.Message):
    __slots__ = ("voucher", "terms", "state", "source", "source_id", "issued_at", "changed_at", "expires_at", "giver", "code_sha256", "gift_until", "order", "discount")
    FROM_FIELD_NUMBER: _ClassVar[int]
    VOUCHER_FIELD_NUMBER: _ClassVar[int]
    TERMS_FIELD_NUMBER: _ClassVar[int]
    STATE_FIELD_NUMBER: _ClassVar[int]
    SOURCE_FIELD_NUMBER: _ClassVar[int]
    SOURCE_ID_FIELD_NUMBER: _ClassVar[int]
    ISSUED_AT_FIELD_NUMBER: _ClassVar[int]
    CHANGED_AT_FIELD_NUMBER: _ClassVar[int]
    EXPIRES_AT_FIELD_NUMBER: _ClassVar[int]
    GIVER_FIELD_NUMBER: _ClassVar[int]
    CODE_SHA256_FIELD_NUMBER: _ClassVar[int]
    GIFT_UNTIL_FIELD_NUMBER: _ClassVar[int]
    ORDER_FIELD_NUMBER: _ClassVar[int]
    DISCOUNT_FIELD_NUMBER: _ClassVar[int]
    voucher: str
    terms: VoucherTerms
    state: str
    source: str
    source_id: str
    issued_at: _timestamp_pb2.Timestamp
    changed_at: _timestamp_pb2.Timestamp
    expires_at: _timestamp_pb2.Timestamp
    giver: str
    code_sha256: bytes
    gift_until: _timestamp_pb2.Timestamp
    order: str
    discount: int
    def __init__(self, voucher: _Optional[str] = ..., terms: _Optional[_Union[VoucherTerms, _Mapping]] = ..., state: _Optional[str] = ..., source: _Optional[str] = ..., source_id: _Optional[str] = ..., issued_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., changed_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., expires_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., giver: _Optional[str] = ..., code_sha256: _Optional[bytes] = ..., gift_until: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., order: _Optional[str] = ..., discount: _Optional[int] = ..., **kwargs) -> None: ...

class RedemptionMoved(_message.Message):
    __slots__ = ("requested", "version", "state", "requested_at", "changed_at", "expires_at", "code", "detail", "refunds")
    FROM_FIELD_NUMBER: _ClassVar[int]
    REQUESTED_FIELD_NUMBER: _ClassVar[int]
    VERSION_FIELD_NUMBER: _ClassVar[int]
    STATE_FIELD_NUMBER: _ClassVar[int]
    REQUESTED_AT_FIELD_NUMBER: _ClassVar[int]
    CHANGED_AT_FIELD_NUMBER: _ClassVar[int]
    EXPIRES_AT_FIELD_NUMBER: _ClassVar[int]
    CODE_FIELD_NUMBER: _ClassVar[int]
    DETAIL_FIELD_NUMBER: _ClassVar[int]
    REFUNDS_FIELD_NUMBER: _ClassVar[int]
    requested: RedemptionRequested
    version: str
    state: str
    requested_at: _timestamp_pb2.Timestamp
    changed_at: _timestamp_pb2.Timestamp
    expires_at: _timestamp_pb2.Timestamp
    code: str
    detail: str
    refunds: Refunds
    def __init__(self, requested: _Optional[_Union[RedemptionRequested, _Mapping]] = ..., version: _Optional[str] = ..., state: _Optional[str] = ..., requested_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., changed_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., expires_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., code: _Optional[str] = ..., detail: _Optional[str] = ..., refunds: _Optional[_Union[Refunds, _Mapping]] = ..., **kwargs) -> None: ...

class AwardMoved(_message.Message):
    __slots__ = ("award", "points", "money", "currency", "source", "source_id", "state", "promised_at", "changed_at", "code", "detail")
    FROM_FIELD_NUMBER: _ClassVar[int]
    AWARD_FIELD_NUMBER: _ClassVar[int]
    POINTS_FIELD_NUMBER: _ClassVar[int]
    MONEY_FIELD_NUMBER: _ClassVar[int]
    CURRENCY_FIELD_NUMBER: _ClassVar[int]
    SOURCE_FIELD_NUMBER: _ClassVar[int]
    SOURCE_ID_FIELD_NUMBER: _ClassVar[int]
    STATE_FIELD_NUMBER: _ClassVar[int]
    PROMISED_AT_FIELD_NUMBER: _ClassVar[int]
    CHANGED_AT_FIELD_NUMBER: _ClassVar[int]
    CODE_FIELD_NUMBER: _ClassVar[int]
    DETAIL_FIELD_NUMBER: _ClassVar[int]
    award: str
    points: int
    money: int
    currency: str
    source: str
    source_id: str
    state: str
    promised_at: _timestamp_pb2.Timestamp
    changed_at: _timestamp_pb2.Timestamp
    code: str
    detail: str
    def __init__(self, award: _Optional[str] = ..., points: _Optional[int] = ..., money: _Optional[int] = ..., currency: _Optional[str] = ..., source: _Optional[str] = ..., source_id: _Optional[str] = ..., state: _Optional[str] = ..., promised_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., changed_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., code: _Optional[str] = ..., detail: _Optional[str] = ..., **kwargs) -> None: ...

class GrantMoved(_message.Message):
    __slots__ = ("grant", "slot", "settled", "purchases", "amount")
    FROM_FIELD_NUMBER: _ClassVar[int]
    GRANT_FIELD_NUMBER: _ClassVar[int]
    SLOT_FIELD_NUMBER: _ClassVar[int]
    SETTLED_FIELD_NUMBER: _ClassVar[int]
    PURCHASES_FIELD_NUMBER: _ClassVar[int]
    AMOUNT_FIELD_NUMBER: _ClassVar[int]
    grant: str
    slot: str
    settled: bool
    purchases: int
    amount: int
    def __init__(self, grant: _Optional[str] = ..., slot: _Optional[str] = ..., settled: _Optional[bool] = ..., purchases: _Optional[int] = ..., amount: _Optional[int] = ..., **kwargs) -> None: ...

class PlayerMoved(_message.Message):
    __slots__ = ("draw", "tickets", "losses", "turns", "day", "today", "free_today")
    FROM_FIELD_NUMBER: _ClassVar[int]
    DRAW_FIELD_NUMBER: _ClassVar[int]
    TICKETS_FIELD_NUMBER: _ClassVar[int]
    LOSSES_FIELD_NUMBER: _ClassVar[int]
    TURNS_FIELD_NUMBER: _ClassVar[int]
    DAY_FIELD_NUMBER: _ClassVar[int]
    TODAY_FIELD_NUMBER: _ClassVar[int]
    FREE_TODAY_FIELD_NUMBER: _ClassVar[int]
    draw: str
    tickets: int
    losses: int
    turns: int
    day: str
    today: int
    free_today: int
    def __init__(self, draw: _Optional[str] = ..., tickets: _Optional[int] = ..., losses: _Optional[int] = ..., turns: _Optional[int] = ..., day: _Optional[str] = ..., today: _Optional[int] = ..., free_today: _Optional[int] = ..., **kwargs) -> None: ...
