import datetime

from google.protobuf import timestamp_pb2 as _timestamp_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class TierChanged(_message.Message):
    __slots__ = ("from_tier", "to_tier", "since", "until", "reason", "rule", "metric", "threshold", "ledger_position", "measures", "positions", "grant")
    FROM_TIER_FIELD_NUMBER: _ClassVar[int]
    TO_TIER_FIELD_NUMBER: _ClassVar[int]
    SINCE_FIELD_NUMBER: _ClassVar[int]
    UNTIL_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    RULE_FIELD_NUMBER: _ClassVar[int]
    METRIC_FIELD_NUMBER: _ClassVar[int]
    THRESHOLD_FIELD_NUMBER: _ClassVar[int]
    LEDGER_POSITION_FIELD_NUMBER: _ClassVar[int]
    MEASURES_FIELD_NUMBER: _ClassVar[int]
    POSITIONS_FIELD_NUMBER: _ClassVar[int]
    GRANT_FIELD_NUMBER: _ClassVar[int]
    from_tier: str
    to_tier: str
    since: _timestamp_pb2.Timestamp
    until: _timestamp_pb2.Timestamp
    reason: str
    rule: str
    metric: int
    threshold: int
    ledger_position: int
    measures: _containers.RepeatedCompositeFieldContainer[Measure]
    positions: _containers.RepeatedScalarFieldContainer[int]
    grant: str
    def __init__(self, from_tier: _Optional[str] = ..., to_tier: _Optional[str] = ..., since: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., until: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., reason: _Optional[str] = ..., rule: _Optional[str] = ..., metric: _Optional[int] = ..., threshold: _Optional[int] = ..., ledger_position: _Optional[int] = ..., measures: _Optional[_Iterable[_Union[Measure, _Mapping]]] = ..., positions: _Optional[_Iterable[int]] = ..., grant: _Optional[str] = ...) -> None: ...

class Measure(_message.Message):
    __slots__ = ("metric", "value", "threshold", "after", "up_to")
    METRIC_FIELD_NUMBER: _ClassVar[int]
    VALUE_FIELD_NUMBER: _ClassVar[int]
    THRESHOLD_FIELD_NUMBER: _ClassVar[int]
    AFTER_FIELD_NUMBER: _ClassVar[int]
    UP_TO_FIELD_NUMBER: _ClassVar[int]
    metric: str
    value: int
    threshold: int
    after: _timestamp_pb2.Timestamp
    up_to: _timestamp_pb2.Timestamp
    def __init__(self, metric: _Optional[str] = ..., value: _Optional[int] = ..., threshold: _Optional[int] = ..., after: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., up_to: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ...) -> None: ...

class TierGranted(_message.Message):
    __slots__ = ("grant", "tier", "until", "reason", "ledger_position")
    GRANT_FIELD_NUMBER: _ClassVar[int]
    TIER_FIELD_NUMBER: _ClassVar[int]
    UNTIL_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    LEDGER_POSITION_FIELD_NUMBER: _ClassVar[int]
    grant: str
    tier: str
    until: _timestamp_pb2.Timestamp
    reason: str
    ledger_position: int
    def __init__(self, grant: _Optional[str] = ..., tier: _Optional[str] = ..., until: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., reason: _Optional[str] = ..., ledger_position: _Optional[int] = ...) -> None: ...

class TierGrantRevoked(_message.Message):
    __slots__ = ("grant", "reason", "ledger_position")
    GRANT_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    LEDGER_POSITION_FIELD_NUMBER: _ClassVar[int]
    grant: str
    reason: str
    ledger_position: int
    def __init__(self, grant: _Optional[str] = ..., reason: _Optional[str] = ..., ledger_position: _Optional[int] = ...) -> None: ...

class TiersRanked(_message.Message):
    __slots__ = ("run", "cause", "at", "tops", "members", "counted_to", "ledger_position")
    RUN_FIELD_NUMBER: _ClassVar[int]
    CAUSE_FIELD_NUMBER: _ClassVar[int]
    AT_FIELD_NUMBER: _ClassVar[int]
    TOPS_FIELD_NUMBER: _ClassVar[int]
    MEMBERS_FIELD_NUMBER: _ClassVar[int]
    COUNTED_TO_FIELD_NUMBER: _ClassVar[int]
    LEDGER_POSITION_FIELD_NUMBER: _ClassVar[int]
    run: str
    cause: str
    at: _timestamp_pb2.Timestamp
    tops: _containers.RepeatedCompositeFieldContainer[Top]
    members: int
    counted_to: _containers.RepeatedScalarFieldContainer[int]
    ledger_position: int
    def __init__(self, run: _Optional[str] = ..., cause: _Optional[str] = ..., at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., tops: _Optional[_Iterable[_Union[Top, _Mapping]]] = ..., members: _Optional[int] = ..., counted_to: _Optional[_Iterable[int]] = ..., ledger_position: _Optional[int] = ...) -> None: ...

class Top(_message.Message):
    __slots__ = ("metric", "percent", "places", "here", "threshold")
    METRIC_FIELD_NUMBER: _ClassVar[int]
    PERCENT_FIELD_NUMBER: _ClassVar[int]
    PLACES_FIELD_NUMBER: _ClassVar[int]
    HERE_FIELD_NUMBER: _ClassVar[int]
    THRESHOLD_FIELD_NUMBER: _ClassVar[int]
    metric: str
    percent: str
    places: int
    here: _containers.RepeatedScalarFieldContainer[int]
    threshold: int
    def __init__(self, metric: _Optional[str] = ..., percent: _Optional[str] = ..., places: _Optional[int] = ..., here: _Optional[_Iterable[int]] = ..., threshold: _Optional[int] = ...) -> None: ...

class FactsMoved(_message.Message):
    __slots__ = ("absorbed", "ledger_position", "last", "as_of", "entries", "purchases", "days", "tags", "life", "tier", "since", "until", "standing")
    ABSORBED_FIELD_NUMBER: _ClassVar[int]
    LEDGER_POSITION_FIELD_NUMBER: _ClassVar[int]
    LAST_FIELD_NUMBER: _ClassVar[int]
    AS_OF_FIELD_NUMBER: _ClassVar[int]
    ENTRIES_FIELD_NUMBER: _ClassVar[int]
    PURCHASES_FIELD_NUMBER: _ClassVar[int]
    DAYS_FIELD_NUMBER: _ClassVar[int]
    TAGS_FIELD_NUMBER: _ClassVar[int]
    LIFE_FIELD_NUMBER: _ClassVar[int]
    TIER_FIELD_NUMBER: _ClassVar[int]
    SINCE_FIELD_NUMBER: _ClassVar[int]
    UNTIL_FIELD_NUMBER: _ClassVar[int]
    STANDING_FIELD_NUMBER: _ClassVar[int]
    absorbed: str
    ledger_position: int
    last: bool
    as_of: _timestamp_pb2.Timestamp
    entries: _containers.RepeatedCompositeFieldContainer[MovedEntry]
    purchases: _containers.RepeatedCompositeFieldContainer[MovedPurchase]
    days: _containers.RepeatedCompositeFieldContainer[MovedDay]
    tags: _containers.RepeatedCompositeFieldContainer[MovedTag]
    life: MovedLife
    tier: str
    since: _timestamp_pb2.Timestamp
    until: _timestamp_pb2.Timestamp
    standing: str
    def __init__(self, absorbed: _Optional[str] = ..., ledger_position: _Optional[int] = ..., last: _Optional[bool] = ..., as_of: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., entries: _Optional[_Iterable[_Union[MovedEntry, _Mapping]]] = ..., purchases: _Optional[_Iterable[_Union[MovedPurchase, _Mapping]]] = ..., days: _Optional[_Iterable[_Union[MovedDay, _Mapping]]] = ..., tags: _Optional[_Iterable[_Union[MovedTag, _Mapping]]] = ..., life: _Optional[_Union[MovedLife, _Mapping]] = ..., tier: _Optional[str] = ..., since: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., until: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., standing: _Optional[str] = ...) -> None: ...

class MovedEntry(_message.Message):
    __slots__ = ("metric", "at", "amount")
    METRIC_FIELD_NUMBER: _ClassVar[int]
    AT_FIELD_NUMBER: _ClassVar[int]
    AMOUNT_FIELD_NUMBER: _ClassVar[int]
    metric: str
    at: _timestamp_pb2.Timestamp
    amount: int
    def __init__(self, metric: _Optional[str] = ..., at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., amount: _Optional[int] = ...) -> None: ...

class MovedPurchase(_message.Message):
    __slots__ = ("purchase", "at", "amount_left", "promoted_left", "promoted_lines")
    PURCHASE_FIELD_NUMBER: _ClassVar[int]
    AT_FIELD_NUMBER: _ClassVar[int]
    AMOUNT_LEFT_FIELD_NUMBER: _ClassVar[int]
    PROMOTED_LEFT_FIELD_NUMBER: _ClassVar[int]
    PROMOTED_LINES_FIELD_NUMBER: _ClassVar[int]
    purchase: str
    at: _timestamp_pb2.Timestamp
    amount_left: int
    promoted_left: int
    promoted_lines: _containers.RepeatedScalarFieldContainer[int]
    def __init__(self, purchase: _Optional[str] = ..., at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., amount_left: _Optional[int] = ..., promoted_left: _Optional[int] = ..., promoted_lines: _Optional[_Iterable[int]] = ...) -> None: ...

class MovedDay(_message.Message):
    __slots__ = ("metric", "day", "visits")
    METRIC_FIELD_NUMBER: _ClassVar[int]
    DAY_FIELD_NUMBER: _ClassVar[int]
    VISITS_FIELD_NUMBER: _ClassVar[int]
    metric: str
    day: str
    visits: int
    def __init__(self, metric: _Optional[str] = ..., day: _Optional[str] = ..., visits: _Optional[int] = ...) -> None: ...

class MovedTag(_message.Message):
    __slots__ = ("tag", "since")
    TAG_FIELD_NUMBER: _ClassVar[int]
    SINCE_FIELD_NUMBER: _ClassVar[int]
    tag: str
    since: _timestamp_pb2.Timestamp
    def __init__(self, tag: _Optional[str] = ..., since: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ...) -> None: ...

class MovedLife(_message.Message):
    __slots__ = ("first_at", "last_at", "won_back_at")
    FIRST_AT_FIELD_NUMBER: _ClassVar[int]
    LAST_AT_FIELD_NUMBER: _ClassVar[int]
    WON_BACK_AT_FIELD_NUMBER: _ClassVar[int]
    first_at: _timestamp_pb2.Timestamp
    last_at: _timestamp_pb2.Timestamp
    won_back_at: _timestamp_pb2.Timestamp
    def __init__(self, first_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., last_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., won_back_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ...) -> None: ...

class ProgramRefused(_message.Message):
    __slots__ = ("version", "reason")
    VERSION_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    version: str
    reason: str
    def __init__(self, version: _Optional[str] = ..., reason: _Optional[str] = ...) -> None: ...

class SegmentsRun(_message.Message):
    __slots__ = ("run", "cause", "at", "bounds", "population", "measured_ms", "took_ms", "ledger_position")
    RUN_FIELD_NUMBER: _ClassVar[int]
    CAUSE_FIELD_NUMBER: _ClassVar[int]
    AT_FIELD_NUMBER: _ClassVar[int]
    BOUNDS_FIELD_NUMBER: _ClassVar[int]
    POPULATION_FIELD_NUMBER: _ClassVar[int]
    MEASURED_MS_FIELD_NUMBER: _ClassVar[int]
    TOOK_MS_FIELD_NUMBER: _ClassVar[int]
    LEDGER_POSITION_FIELD_NUMBER: _ClassVar[int]
    run: str
    cause: str
    at: _timestamp_pb2.Timestamp
    bounds: SegmentBounds
    population: int
    measured_ms: int
    took_ms: int
    ledger_position: int
    def __init__(self, run: _Optional[str] = ..., cause: _Optional[str] = ..., at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., bounds: _Optional[_Union[SegmentBounds, _Mapping]] = ..., population: _Optional[int] = ..., measured_ms: _Optional[int] = ..., took_ms: _Optional[int] = ..., ledger_position: _Optional[int] = ...) -> None: ...

class SegmentBounds(_message.Message):
    __slots__ = ("recency", "frequency", "monetary", "recency_high", "frequency_high", "monetary_high", "high_spend", "high_ticket", "bargain_hunter", "loyal")
    RECENCY_FIELD_NUMBER: _ClassVar[int]
    FREQUENCY_FIELD_NUMBER: _ClassVar[int]
    MONETARY_FIELD_NUMBER: _ClassVar[int]
    RECENCY_HIGH_FIELD_NUMBER: _ClassVar[int]
    FREQUENCY_HIGH_FIELD_NUMBER: _ClassVar[int]
    MONETARY_HIGH_FIELD_NUMBER: _ClassVar[int]
    HIGH_SPEND_FIELD_NUMBER: _ClassVar[int]
    HIGH_TICKET_FIELD_NUMBER: _ClassVar[int]
    BARGAIN_HUNTER_FIELD_NUMBER: _ClassVar[int]
    LOYAL_FIELD_NUMBER: _ClassVar[int]
    recency: _containers.RepeatedCompositeFieldContainer[_timestamp_pb2.Timestamp]
    frequency: _containers.RepeatedScalarFieldContainer[int]
    monetary: _containers.RepeatedScalarFieldContainer[int]
    recency_high: int
    frequency_high: int
    monetary_high: int
    high_spend: int
    high_ticket: int
    bargain_hunter: int
    loyal: int
    def __init__(self, recency: _Optional[_Iterable[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]]] = ..., frequency: _Optional[_Iterable[int]] = ..., monetary: _Optional[_Iterable[int]] = ..., recency_high: _Optional[int] = ..., frequency_high: _Optional[int] = ..., monetary_high: _Optional[int] = ..., high_spend: _Optional[int] = ..., high_ticket: _Optional[int] = ..., bargain_hunter: _Optional[int] = ..., loyal: _Optional[int] = ...) -> None: ...

class SegmentChanged(_message.Message):
    __slots__ = ("family", "from_segment", "to_segment", "at", "rule", "run", "ledger_position")
    FAMILY_FIELD_NUMBER: _ClassVar[int]
    FROM_SEGMENT_FIELD_NUMBER: _ClassVar[int]
    TO_SEGMENT_FIELD_NUMBER: _ClassVar[int]
    AT_FIELD_NUMBER: _ClassVar[int]
    RULE_FIELD_NUMBER: _ClassVar[int]
    RUN_FIELD_NUMBER: _ClassVar[int]
    LEDGER_POSITION_FIELD_NUMBER: _ClassVar[int]
    family: str
    from_segment: str
    to_segment: str
    at: _timestamp_pb2.Timestamp
    rule: str
    run: str
    ledger_position: int
    def __init__(self, family: _Optional[str] = ..., from_segment: _Optional[str] = ..., to_segment: _Optional[str] = ..., at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., rule: _Optional[str] = ..., run: _Optional[str] = ..., ledger_position: _Optional[int] = ...) -> None: ...

class MemberTagged(_message.Message):
    __slots__ = ("request", "tag", "set", "reason", "ledger_position")
    REQUEST_FIELD_NUMBER: _ClassVar[int]
    TAG_FIELD_NUMBER: _ClassVar[int]
    SET_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    LEDGER_POSITION_FIELD_NUMBER: _ClassVar[int]
    request: str
    tag: str
    set: bool
    reason: str
    ledger_position: int
    def __init__(self, request: _Optional[str] = ..., tag: _Optional[str] = ..., set: _Optional[bool] = ..., reason: _Optional[str] = ..., ledger_position: _Optional[int] = ...) -> None: ...
