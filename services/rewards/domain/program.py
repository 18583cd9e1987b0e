"""A program as rewards sees it: the section `rewards:` of its document."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from zoneinfo import ZoneInfo

from services.common.local_time import read_store_zones
from services.common.program_section import ProgramError, Section, read_head
from services.rewards.domain.catalogue import Reward, read_catalogue
from services.rewards.domain.draw_terms import Draw, draw_ids, read_draws
from services.rewards.domain.gifts import Shelf, points_max
from services.rewards.domain.grants import Grant, read_grants
from services.rewards.domain.prices import FIELDS as PRICING
from services.rewards.domain.prices import NO_PRICES, Pricing, read_pricing
from services.rewards.domain.standing import read_tiers
from services.rewards.domain.voucher_terms import Terms, read_vouchers

TTL_DEFAULT_SECONDS = 900
TTL_MAX_SECONDS = 366 * 86_400
"""The ledger has a limit of its own, the program's `ledger.holds.max_ttl_seconds`, and refuses what is longer."""


@dataclass(slots=True, frozen=True)
class Program:
    """One version of a program: what can be redeemed, and for how long points are held, in seconds."""

    id: str
    version: str
    runs_on_events: bool
    """True: the program's clock is the watermark of its events; False: the wall's."""
    catalogue: Mapping[str, Reward]
    ttl_seconds: int
    vouchers: Mapping[str, Terms] = field(default_factory=dict)
    grants: tuple[Grant, ...] = ()
    zone: ZoneInfo = field(default_factory=lambda: ZoneInfo("UTC"))
    draws: Mapping[str, Draw] = field(default_factory=dict)
    tiers: tuple[str, ...] = ()
    """Their names, lowest first."""
    currency: str = ""
    zones: Mapping[str, ZoneInfo] = field(default_factory=dict)
    """Of stores that keep another time than the program."""
    pricing: Pricing = NO_PRICES

    @property
    def lowest_tier(self) -> str:
        """The tier of a member of whom tiering has said nothing; "" where the program has no tiers."""
        return self.tiers[0] if self.tiers else ""

    def zone_of(self, store: str) -> ZoneInfo:
        """A store's own time zone; the program's, where it has none."""
        return self.zones.get(store, self.zone)


def parse_program(document: Mapping[str, Any], version: str) -> Program:
    """Rewards' view of a document; one without the section has an empty catalogue.

    Raises:
        ProgramError: a field of the section is wrong; it names the field.
    """
    top = Section(document, "")
    head = read_head(top)
    # The ledger's own fields, which it has checked.
    ledger = top.section("ledger", optional=True)
    keeps_money = "stored_value" in ledger.values
    tiers = read_tiers(top)
    rewards = top.section("rewards", optional=True)
    rewards.only("catalogue", "redemption", "vouchers", "grants", "draws", *PRICING)
    vouchers = read_vouchers(rewards)
    catalogue = read_catalogue(rewards, vouchers, tiers, keeps_money)
    draws = draw_ids(rewards)
    for place, reward in enumerate(catalogue.values()):
        if reward.draw and reward.draw not in draws:
            where = f"rewards.catalogue[{place}].draw"
            raise ProgramError(where, f"{reward.draw!r} is not among `rewards.draws`")
    currency = str(ledger.values.get("currency", ""))
    shelf = Shelf(vouchers, draws, catalogue, points_max(top), currency if keeps_money else "")
    redemption = rewards.section("redemption", optional=True)
    redemption.only("ttl_seconds")
    return Program(
        id=head.program,
        version=version,
        runs_on_events=head.runs_on_events,
        catalogue=catalogue,
        ttl_seconds=redemption.whole("ttl_seconds", 1, TTL_MAX_SECONDS, TTL_DEFAULT_SECONDS),
        vouchers=vouchers,
        grants=read_grants(rewards, shelf, tiers),
        zone=head.time_zone,
        draws=read_draws(rewards, shelf),
        tiers=tiers,
        currency=currency,
        zones=read_store_zones(ledger.section("stores", optional=True)),
        pricing=read_pricing(rewards, tiers),
    )
