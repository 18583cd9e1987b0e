"""What tiering's journal says of segments, tags and runs on one chain, read row by row."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from google.protobuf.message import DecodeError

from tallybook.tiering.v1 import events_pb2 as pb

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
TYPES: dict[str, Any] = {
    "SegmentChanged": pb.SegmentChanged,
    "SegmentsRun": pb.SegmentsRun,
    "MemberTagged": pb.MemberTagged,
    "FactsMoved": pb.FactsMoved,
}
Key = tuple[str, str]
"""(program, member)"""


def time_of(stamp: Any) -> datetime:
    """A Timestamp, exact."""
    return EPOCH + timedelta(seconds=stamp.seconds, microseconds=stamp.nanos // 1000)


@dataclass(slots=True)
class Run:
    """A SegmentsRun and what followed from it."""

    row: Any
    """The journal's row."""
    said: pb.SegmentsRun
    changed: int = 0


@dataclass(slots=True)
class SegmentsTold:
    """`moved` by (program, member, family): the last segment and since when. `tags` by (program, member, tag)."""

    moved: dict[tuple[str, str, str], tuple[str, datetime]] = field(default_factory=dict)
    tags: dict[tuple[str, str, str], datetime] = field(default_factory=dict)
    asked: dict[tuple[str, str, str], bool] = field(default_factory=dict)
    """What the outside world said last, by (program, member, tag)."""
    runs: dict[tuple[str, str], Run] = field(default_factory=dict)
    """By (program, run), in their order."""
    joined: dict[Key, int] = field(default_factory=dict)
    """Members whom a merge brought something, and the last row that says so."""

    def row(self, row: Any) -> None:
        """Take a journal row."""
        cls = TYPES.get(row["type"])
        if cls is None:
            return
        try:
            message: Any = cls.FromString(row["payload"])
        except DecodeError:
            # The row's hash says so.
            return
        program, member = row["program"], row["member"]
        if row["type"] == "SegmentsRun":
            self.runs[program, message.run] = Run(row, message)
        elif row["type"] == "MemberTagged":
            self.asked[program, member, message.tag] = message.set
        elif row["type"] == "FactsMoved":
            self.joined[program, member] = row["position"]
            for tag in message.tags:
                self.asked[program, member, tag.tag] = True
        elif message.family == "tag":
            if message.to_segment:
                self.tags[program, member, message.to_segment] = time_of(message.at)
            else:
                self.tags.pop((program, member, message.from_segment), None)
        else:
            self.moved[program, member, message.family] = (message.to_segment, time_of(message.at))
            if message.run and (program, message.run) in self.runs:
                self.runs[program, message.run].changed += 1
