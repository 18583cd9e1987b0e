"""Are the services level: has everything in the topics been read, decided, published and read again?"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass
from types import TracebackType
from typing import Self

from aiokafka import AIOKafkaConsumer, TopicPartition

from services.ops.api import Api, UnreachableError

READS = {
    "ledger": (
        "purchases.v1",
        "members.v1",
        "interactions.v1",
        "referrals.v1",
        "top_ups.v1",
        "tiers.v1",
    ),
    "tiering": ("ledger.v1",),
    "rewards": ("ledger.v1", "tiers.v1"),
}
"""Which service reads which topics (proto/topics.yaml)."""

POLL_SECONDS = 0.05
POLL_SECONDS_MAX = 1.0


class NotLevelError(Exception):
    """The services did not become level in time; the message names what is behind."""


@dataclass(frozen=True, slots=True)
class ServiceLag:
    """Records of a service's topics: read, of those written; and its journal rows that wait to be published, those
    that rewards of referrals will be among them."""

    read: int
    written: int
    unpublished: int

    @property
    def behind(self) -> int:
        """0 when there is nothing left to do."""
        return self.written - self.read + self.unpublished


@dataclass(frozen=True, slots=True)
class Lag:
    """How far each service is."""

    services: dict[str, ServiceLag]

    @property
    def behind(self) -> int:
        """0 when no service is behind."""
        return sum(service.behind for service in self.services.values())

    def __str__(self) -> str:
        parts = [
            f"{name} has {lag.written - lag.read} records to read and {lag.unpublished} rows to publish"
            for name, lag in self.services.items()
            if lag.behind
        ]
        return ", ".join(parts) or "level"


class LevelGauge:
    """Compares the ends of the topics with what the services say they have done; an async context manager."""

    def __init__(self, api: Api) -> None:
        self._api = api
        self._places = [
            TopicPartition(api.endpoints.topic_prefix + topic, partition)
            for topic in sorted({topic for topics in READS.values() for topic in topics})
            for partition in range(api.endpoints.chains)
        ]
        self._kafka = AIOKafkaConsumer(bootstrap_servers=api.endpoints.bootstrap)

    async def __aenter__(self) -> Self:
        await self._kafka.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._kafka.stop()

    async def wait(self, stall_seconds: float, on_lag: Callable[[Lag], None] | None = None) -> None:
        """Return once the services are level; `on_lag` sees every look on the way.

        They feed each other in a ring (ledger -> tiering -> ledger), and a service can be asked only after another.
        So it must be seen twice running that nobody is behind, with the same ends of the topics: whatever a
        service did between being asked how far it read and what it published shows at the second look.

        Raises:
            NotLevelError: nothing has moved for `stall_seconds`, or a service did not answer for so long.
        """
        moved_at = time.monotonic()
        pause = POLL_SECONDS
        before: Lag | None = None
        while True:
            try:
                lag = await self.look()
                trouble = str(lag)
            except UnreachableError as unreachable:
                lag, trouble = None, str(unreachable)
            if lag is not None:
                if on_lag is not None:
                    on_lag(lag)
                if lag.behind == 0 and lag == before:
                    return
                if lag != before:
                    moved_at = time.monotonic()
                before = lag
                if lag.behind == 0:
                    continue
            if time.monotonic() - moved_at > stall_seconds:
                raise NotLevelError(f"nothing has moved for {stall_seconds:g} s: {trouble}")
            await asyncio.sleep(pause)
            pause = min(pause * 1.5, POLL_SECONDS_MAX)

    async def look(self) -> Lag:
        """How far behind the services are now. Raises UnreachableError."""
        ends: dict[TopicPartition, int] = await self._kafka.end_offsets(self._places)
        services = {}
        prefix = self._api.endpoints.topic_prefix
        for service, topics in READS.items():
            facts = await self._api.facts(service)
            consumers = facts["consumers"]
            names = {prefix + topic for topic in topics}
            written = {place: end for place, end in ends.items() if place.topic in names}
            read = 0
            for place, end in written.items():
                consumer = consumers.get(f"{place.topic}/{place.partition}", {})
                read += min(end, int(consumer.get("next_offset") or 0))
            unpublished = int(facts["relay"]["behind"]) + int(facts.get("rewards_owed", 0))
            services[service] = ServiceLag(read, sum(written.values()), unpublished)
        return Lag(services)
