"""Who a member is to tiering: the tier, the segments and the tags. What a reward or a grant may ask for."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from services.common.program_section import Section
from services.rewards.domain.facts import SegmentChanged

LIFECYCLE = ("new", "active", "dormant", "lost", "won_back")
CLASSES = ("dormant", "churning", "high_spend", "high_ticket", "loyal", "bargain_hunter", "low_low")
"""The segments that tiering publishes, by family. Its RFM groups are not: they shift with the whole population."""


@dataclass(slots=True, frozen=True)
class Segments:
    """As tiering last said; it says nothing of what everybody is to begin with."""

    lifecycle: str = "new"
    member_class: str = "low_low"
    tags: frozenset[str] = frozenset()


AS_EVERYBODY = Segments()


def evolve(segments: Segments, fact: SegmentChanged) -> Segments:
    """The segments after `fact`. A family that is not known here changes nothing."""
    match fact.family:
        case "lifecycle":
            return replace(segments, lifecycle=fact.to_segment)
        case "class":
            return replace(segments, member_class=fact.to_segment)
        case "tag":
            return replace(segments, tags=(segments.tags - {fact.from_segment}) | ({fact.to_segment} - {""}))
    return segments


@dataclass(slots=True, frozen=True)
class Standing:
    """A member's tier and segments. `tier` None: the program's lowest, which tiering does not name."""

    tier: str | None = None
    segments: Segments = AS_EVERYBODY


NOT_TOLD = Standing()
"""A member of whom tiering has said nothing."""


@dataclass(slots=True, frozen=True)
class Audience:
    """Whom something is for: any of each that is named; an empty list asks for nothing."""

    tiers: tuple[str, ...] = ()
    lifecycle: tuple[str, ...] = ()
    classes: tuple[str, ...] = ()
    tags: tuple[str, ...] = ()

    def missing(self, standing: Standing, lowest: str) -> str | None:
        """What keeps the member out: `tier`, `segment` or `tag`, the first; None when nothing does.

        `lowest` is the program's lowest tier, "" where it has none.
        """
        if self.tiers and (standing.tier or lowest) not in self.tiers:
            return "tier"
        segments = standing.segments
        if self.lifecycle and segments.lifecycle not in self.lifecycle:
            return "segment"
        if self.classes and segments.member_class not in self.classes:
            return "segment"
        if self.tags and not segments.tags.intersection(self.tags):
            return "tag"
        return None


EVERYBODY = Audience()
AUDIENCE = ("tiers", "segments", "tags")
"""The fields of an audience, for the `only` of whoever has one."""


def read_audience(section: Section, tiers: Sequence[str]) -> Audience:
    """`tiers`, `segments` (`lifecycle` and `class`) and `tags` of an entry; `tiers` are those that the program has.

    Raises:
        ProgramError: a tier or a segment that there is none of, or a list that is there and empty: it would be for
            nobody, or for everybody.
    """
    segments = section.section("segments", optional=True)
    segments.only("lifecycle", "class")
    return Audience(
        tiers=_some(section, "tiers", tiers),
        lifecycle=_some(segments, "lifecycle", LIFECYCLE),
        classes=_some(segments, "class", CLASSES),
        tags=_some(section, "tags"),
    )


def read_tiers(document: Section) -> tuple[str, ...]:
    """The names of the program's tiers, lowest first, where its section `tiering:` can be read; tiering checks it."""
    tiering = document.values.get("tiering")
    tiers = tiering.get("tiers") if isinstance(tiering, dict) else None
    names = [tier.get("name") for tier in tiers if isinstance(tier, dict)] if isinstance(tiers, list) else []
    return tuple(name for name in names if isinstance(name, str))


def _some(section: Section, key: str, known: Sequence[str] | None = None) -> tuple[str, ...]:
    """A list of texts that is not empty where it is there, and says nothing twice."""
    values = section.texts(key)
    if key in section.values and not values:
        raise section.wrong(key, "is empty: leave it out to ask for nothing")
    for place, value in enumerate(values):
        if known is not None and value not in known:
            names = ", ".join(known) or "none"
            raise section.wrong(key, f"{value!r} is not among those that there are: {names}")
        if value in values[:place]:
            raise section.wrong(key, f"{value!r} is there twice")
    return tuple(values)
