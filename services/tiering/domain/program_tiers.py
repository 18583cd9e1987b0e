"""The ladder and the cards of the section `tiering:`, with the conditions that earn them."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from services.common.program_section import Section
from services.tiering.domain.conditions import AtLeast, Condition, Joined
from services.tiering.domain.program_metrics import MONTHS_MAX, THRESHOLD_MAX, Metrics

NAME = re.compile(r"[a-z0-9][a-z0-9_-]{0,31}")
TIERS_MAX = 20
CARDS_MAX = 20
PARTS_MAX = 10
LEAF = ("metric", "from", "top_percent", "paid_card")
CONDITION = (*LEAF, "any_of", "all_of")


@dataclass(slots=True, frozen=True)
class Tier:
    """A tier and what earns it; None: it is everybody's, or only a card gives it. (Rank 0 is everybody's anyway.)"""

    name: str
    condition: Condition | None


@dataclass(slots=True, frozen=True)
class Card:
    """A card that gives a tier for so many months: bought (`sku`), or issued once to whoever meets `condition`.

    One that is bought may give no tier by itself (empty): a tier's condition asks for it.
    """

    name: str
    tier: str
    months: int
    sku: str
    condition: Condition | None


def parse_tiers(tiering: Section, metrics: Metrics, cards: Sequence[Card]) -> tuple[Tier, ...]:
    """The ladder, lowest first: it begins at 0 and every step asks for more. Raises ProgramError."""
    tiers: list[Tier] = []
    for section in tiering.sections("tiers", TIERS_MAX):
        section.only("name", *CONDITION)
        name = _name(section, [tier.name for tier in tiers])
        if not tiers:
            if section.whole("from", 0, THRESHOLD_MAX, 0) != 0 or set(section.values) - {"name", "from"}:
                raise section.wrong("from", "must be 0: the first tier is everybody's")
            tiers.append(Tier(name, AtLeast(metrics.default, 0) if metrics.default else None))
            continue
        by_card_only = any(card.tier == name for card in cards) and not set(CONDITION) & set(section.values)
        condition = None if by_card_only else _condition(section, metrics)
        before = tiers[-1].condition
        if (
            isinstance(condition, AtLeast)
            and isinstance(before, AtLeast)
            and condition.metric == before.metric
            and not metrics.used[condition.metric].is_flag
            and condition.threshold <= before.threshold
        ):
            raise section.wrong("from", f"must be more than {before.threshold}, that of the tier before")
        _narrower(section, metrics, condition, before)
        tiers.append(Tier(name, condition))
    if not tiers:
        raise tiering.wrong("tiers", "is missing or empty: there is at least the tier that is everybody's")
    for place, card in enumerate(cards):
        if card.tier and card.tier not in [tier.name for tier in tiers[1:]]:
            raise tiering.wrong(
                f"cards[{place}].tier", f"no tier {card.tier!r} above the lowest in tiering.tiers"
            )
    return tuple(tiers)


def parse_cards(tiering: Section, metrics: Metrics) -> tuple[Card, ...]:
    """The cards. Raises ProgramError."""
    cards: list[Card] = []
    for section in tiering.sections("cards", CARDS_MAX):
        section.only("name", "tier", "months", "sku", *CONDITION)
        name = _name(section, [card.name for card in cards])
        sku = section.text("sku") if "sku" in section.values else ""
        asked = set(CONDITION) & set(section.values)
        if sku and asked:
            raise section.wrong("sku", "is there beside a condition: a card is bought, or it is issued")
        if sku and any(card.sku == sku for card in cards):
            raise section.wrong("sku", f"{sku!r} is there twice")
        if not sku and not asked:
            raise section.wrong("sku", "is missing, and so is a condition: a card is bought, or it is issued")
        condition = _condition(section, metrics) if asked else None
        tier = section.text("tier") if "tier" in section.values or not sku else ""
        cards.append(Card(name, tier, section.whole("months", 1, MONTHS_MAX), sku, condition))
    return tuple(cards)


def _name(section: Section, taken: Sequence[str]) -> str:
    name = section.text("name")
    if not NAME.fullmatch(name):
        raise section.wrong("name", f"is {name!r}; 1 to 32 of a-z, 0-9, _ and -")
    if name in taken:
        raise section.wrong("name", f"{name!r} is there twice")
    return name


def _condition(section: Section, metrics: Metrics) -> Condition:
    """`from` (of `metric`), `all_of` such, or `any_of` such and of `all_of`: every rule can be written so."""
    joins = [key for key in ("any_of", "all_of") if key in section.values]
    if not joins:
        return _leaf(section, metrics)
    if len(joins) > 1 or set(LEAF) & set(section.values):
        raise section.wrong(joins[0], "stands alone: a condition is `from`, `any_of` or `all_of`")
    return _joined(section, joins[0], metrics)


def _joined(section: Section, key: str, metrics: Metrics) -> Joined:
    parts: list[Condition] = []
    for part in section.sections(key, PARTS_MAX):
        if key == "any_of":
            part.only(*LEAF, "all_of")
        else:
            part.only(*LEAF)
        if "all_of" not in part.values:
            parts.append(_leaf(part, metrics))
        elif len(part.values) > 1:
            raise part.wrong("all_of", "stands alone: a condition is `from` or `all_of`")
        else:
            parts.append(_joined(part, "all_of", metrics))
    if not parts:
        raise section.wrong(key, "is empty")
    return Joined(key == "any_of", tuple(parts))


def _narrower(
    section: Section, metrics: Metrics, condition: Condition | None, before: Condition | None
) -> None:
    """Of two tiers for the best by one metric the higher is for fewer."""
    if isinstance(condition, AtLeast) and isinstance(before, AtLeast):
        one, other = metrics.used[condition.metric], metrics.used[before.metric]
        if one.of and one.of == other.of and one.percent >= other.percent:
            raise section.wrong("top_percent", "must be less than that of the tier before")


def _leaf(section: Section, metrics: Metrics) -> AtLeast:
    asked = [key for key in ("from", "top_percent", "paid_card") if key in section.values]
    if len(asked) > 1:
        raise section.wrong(asked[1], f"is there beside {asked[0]}: join them with `all_of` or `any_of`")
    if "top_percent" in asked:
        return AtLeast(metrics.top(section), 1)
    if "paid_card" in asked:
        if "metric" in section.values:
            raise section.wrong("metric", "is not for a paid card: there is one or there is none")
        return AtLeast(metrics.paid_card(section), 1)
    return AtLeast(metrics.name(section), section.whole("from", 0, THRESHOLD_MAX))
