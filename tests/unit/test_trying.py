"""A changed document over recorded commands, in memory: what it gives, takes, refuses, and who moves."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from fractions import Fraction
from html.parser import HTMLParser
from typing import Any
from xml.etree import ElementTree

from services.common.chain import chain_of
from services.common.codec import StreamRow
from services.common.program_document import canonical, version_of
from services.ledger import payloads
from services.ledger.domain.commands import ActivateProgram, Command, RecordReferral
from services.ledger.domain.events import ClockAdvanced, Decided, PurchaseRecorded
from services.ledger.store import Programs
from services.ops.trying.charts import Series, bars, columns, lines
from services.ops.trying.figures import EXPIRED, ISSUED, REDEEMED, TAKEN_BACK, Refused
from services.ops.trying.report import page
from services.ops.trying.run import Moved, Part, Tried
from services.ops.trying.tables import Worth, all_tables, month_names, text_of
from services.ops.trying.tiers import Facts
from services.ops.trying.world import Document, Standing, World
from services.tiering.wire import LEDGER_TYPES, fact_of
from tests.unit.ledger_given import (
    CHAIN,
    DAY,
    LEDGER,
    NO_CAUSE,
    NOON,
    capture,
    clock,
    enrol,
    hold,
    line,
    purchase,
    return_,
    tier,
)

CHAINS = 16
ANN, BOB = [f"m{n}" for n in range(200) if chain_of(f"m{n}", CHAINS) == CHAIN][:2]
TIERING: dict[str, Any] = {
    "metric": "spend",
    "window": {"months": 12},
    "review": {"months": 12},
    "tiers": [{"name": "member", "from": 0}, {"name": "silver", "from": 10_000}],
}


def document(tiering: dict[str, Any] | None = None, **ledger: Any) -> Document:
    """A version of the grocer's program, with parts of its section `ledger` replaced."""
    said: dict[str, Any] = {
        "program": "grocer",
        "time_zone": "UTC",
        "clock": "events",
        "ledger": {**LEDGER, **ledger},
    }
    content = canonical(said if tiering is None else {**said, "tiering": tiering})
    return Document(version_of(content), content)


def earning(**change: Any) -> dict[str, Any]:
    return {**LEDGER["earning"], **change}


def recorded(program: Document, *commands: Command) -> list[Command]:
    """An activation, and what came then."""
    activate = ActivateProgram("grocer", "", CHAIN, NO_CAUSE, NOON, program.version, program.content)
    return [activate, *commands]


def tried(
    before: Document, after: Document, *commands: Command, until: datetime = NOON
) -> tuple[World, World]:
    """The worlds of the recorded document and of the one that is tried."""
    programs, facts = Programs(), Facts()
    worlds = [World("grocer", CHAINS, tried_, programs, facts) for tried_ in (None, after)]
    for command in recorded(before, *commands):
        for world in worlds:
            world.take(command)
    for world in worlds:
        world.finish(CHAIN, until)
        world.figures.settle()
        balances = sum(standing.balance for _, standing in world.members())
        assert world.figures.outstanding == balances
    return worlds[0], worlds[1]


def test_from_a_day_on_it_decides_what_comes_then() -> None:
    programs, facts = Programs(), Facts()
    world = World(
        "grocer", CHAINS, document(earning=earning(points_per_unit=3)), programs, facts, NOON + 20 * DAY
    )
    later = NOON + 40 * DAY
    commands = [purchase(member=ANN), purchase("p2", 1_000, member=ANN, at=later, now=later)]
    for command in recorded(document(), *commands):
        world.take(command)
    assert dict(world.figures.by_month) == {("2026-01", ISSUED): 50, ("2026-02", ISSUED): 30}


def test_versions_recorded_later_do_not_replace_the_one_that_is_tried() -> None:
    again = recorded(document(earning=earning(points_per_unit=5)))[0]
    before, after = tried(
        document(), document(earning=earning(points_per_unit=2)), again, purchase(member=ANN)
    )
    assert [world.figures.total(ISSUED) for world in (before, after)] == [250, 100]


def test_what_tiers_are_told_is_what_tiering_reads_in_the_row() -> None:
    told = purchase(lines=[line(1, 1_050, quantity=3), line(2, 310, category="DAIRY")])
    for event in (PurchaseRecorded(told.purchase), ClockAdvanced(NOON)):
        type_, payload = payloads.encode(event)
        row = StreamRow(CHAIN, 7, "grocer", ANN, type_, NOON, NOON, LEDGER_TYPES[type_].FromString(payload))
        assert Facts().fact("grocer", CHAIN, 7, Decided(event, ANN, NOON)) == fact_of(row)


def standing(world: World, member: str = ANN) -> Standing:
    return dict(world.members())[member]


def test_the_same_document_changes_nothing() -> None:
    before, after = tried(document(TIERING), document(TIERING), purchase(member=ANN))
    assert before.figures == after.figures
    assert standing(before) == standing(after)


def test_another_rate_gives_other_points_month_by_month() -> None:
    later = purchase("p2", 3_000, member=ANN, at=NOON + 40 * DAY, now=NOON + 40 * DAY)
    before, after = tried(
        document(), document(earning=earning(points_per_unit="1.5")), purchase(member=ANN), later
    )
    assert dict(before.figures.by_month) == {("2026-01", ISSUED): 50, ("2026-02", ISSUED): 30}
    assert dict(after.figures.by_month) == {("2026-01", ISSUED): 75, ("2026-02", ISSUED): 45}
    assert (standing(before).earned, standing(after).earned) == (80, 120)


def test_each_rule_has_its_share_and_rounding_the_rest() -> None:
    rule = {"id": "dairy", "when": {"categories": ["DAIRY"]}, "earn": {"multiplier": 3}}
    basket = purchase(member=ANN, lines=[line(1, 1_050), line(2, 310, category="DAIRY")])
    _, after = tried(document(), document(earning=earning(rules=[rule])), basket)
    assert dict(after.figures.by_rule) == {
        "base": Fraction(1360, 100),
        "rule dairy": Fraction(620, 100),
        "rounding and caps": 19 - Fraction(1980, 100),
    }
    assert after.figures.total(ISSUED) == 19


def test_a_tier_is_there_for_the_next_purchase_and_multiplies_it() -> None:
    lower = {**TIERING, "tiers": [{"name": "member", "from": 0}, {"name": "silver", "from": 5_000}]}
    baskets = [purchase(f"p{n}", 4_000, member=ANN, at=NOON + n * DAY, now=NOON + n * DAY) for n in range(4)]
    before, after = tried(document(TIERING), document(lower), *baskets)
    # Silver with the third purchase, so the fourth earns by it; under the lower threshold with the second.
    assert (standing(before).earned, standing(after).earned) == (40 * 3 + 50, 40 * 2 + 50 * 2)
    assert (standing(before).tier, standing(after).tier) == ("silver", "silver")
    assert after.figures.by_rule["tier silver"] == 20


def test_recorded_tiers_are_not_taken_over() -> None:
    told = tier("silver", NOON - DAY, member=ANN)
    told.cause.source, was = "tallybook/tiering", told.cause.source
    try:
        _, after = tried(document(), document(TIERING), enrol(ANN), told, purchase(member=ANN))
    finally:
        told.cause.source = was
    assert standing(after) == Standing("member", 50, 50)


def test_a_higher_threshold_leaves_members_below() -> None:
    higher = {**TIERING, "tiers": [{"name": "member", "from": 0}, {"name": "silver", "from": 20_000}]}
    baskets = [purchase(amount=15_000, member=ANN), purchase("p2", 25_000, member=BOB)]
    before, after = tried(document(TIERING), document(higher), *baskets)
    assert [standing(world, ANN).tier for world in (before, after)] == ["silver", "member"]
    assert [standing(world, BOB).tier for world in (before, after)] == ["silver", "silver"]


def test_a_tier_ends_at_its_review_when_the_clock_comes_to_the_end() -> None:
    year = 366 * DAY
    _, after = tried(
        document(TIERING), document(TIERING), purchase(amount=15_000, member=ANN), until=NOON + year
    )
    assert standing(after).tier == "member"


def test_a_redemption_that_could_not_be_paid_is_refused_and_counted() -> None:
    spend = [hold(40, member=ANN), capture(member=ANN)]
    less = document(earning=earning(points_per_unit="0.5"))
    before, after = tried(document(), less, purchase(member=ANN), *spend)
    assert before.figures.total(REDEEMED) == 40
    assert before.figures.refused == {}
    assert after.figures.total(REDEEMED) == 0
    assert after.figures.refused == {
        ("PlaceHold", "insufficient_points"): Refused(1, 40),
        ("CaptureHold", "hold_unknown"): Refused(1, 0),
    }
    assert standing(after).balance == 25


def test_a_shorter_life_of_points_is_breakage() -> None:
    shorter = document(expiry={"months": 3})
    before, after = tried(document(), shorter, purchase(member=ANN), until=NOON + 100 * DAY)
    assert before.figures.total(EXPIRED) == 0
    assert dict(after.figures.by_month) == {("2026-01", ISSUED): 50, ("2026-04", EXPIRED): 50}
    assert standing(after) == Standing("", 50, 0)


def test_a_recorded_clock_ticks_in_both_worlds() -> None:
    before, after = tried(
        document(), document(expiry={"months": 3}), purchase(member=ANN), clock(NOON + 400 * DAY)
    )
    assert [world.figures.total(EXPIRED) for world in (before, after)] == [50, 50]


def test_returns_take_back_what_the_tried_document_gave() -> None:
    double = document(earning=earning(points_per_unit=2))
    before, after = tried(document(), double, purchase(member=ANN), return_(member=ANN))
    assert [world.figures.total(TAKEN_BACK) for world in (before, after)] == [50, 100]
    assert standing(after).earned == 0


def test_a_referral_is_rewarded_by_the_tried_document() -> None:
    referrals = {"minimum": 2_000, "referrer": {"points": 500}, "referee": {"points": 200}}
    more = {**referrals, "referrer": {"points": 700}}
    referred = RecordReferral("grocer", BOB, CHAIN, NO_CAUSE, NOON, "f1", NOON, ANN, CHAIN, "registered", "")
    commands = [enrol(ANN), enrol(BOB), referred, purchase(member=BOB)]
    before, after = tried(document(referrals=referrals), document(referrals=more), *commands)
    assert (standing(before, ANN).earned, standing(after, ANN).earned) == (500, 700)
    assert standing(before, BOB).earned == standing(after, BOB).earned == 250
    assert after.figures.by_rule == {"base": 50, "referrer": 700, "referee": 200}


def found() -> Tried:
    """A try with something in every table."""
    lower = {**TIERING, "tiers": [{"name": "member", "from": 0}, {"name": "silver", "from": 5_000}]}
    spend = [hold(40, member=ANN), capture(member=ANN)]
    baskets = [
        purchase(member=ANN),
        *spend,
        purchase("p2", 9_000, member=BOB, at=NOON + 100 * DAY, now=NOON + 100 * DAY),
    ]
    less = document(lower, earning=earning(points_per_unit="0.5"))
    before, after = tried(document(TIERING), less, *baskets, until=NOON + 300 * DAY)
    part = Part(before.figures, after.figures)
    part.members = [Moved(name, was, standing(after, name)) for name, was in sorted(before.members())]
    part.tiers_before, part.tiers_after = tuple(before.tiers.names()), tuple(after.tiers.names())
    part.untold["ActivityRejected"] = 3
    return Tried("grocer", datetime(2026, 11, 1, tzinfo=UTC), part, 12, 0.5, ["mind <this>"])


WORTH = Worth(Fraction(1, 2), "USD", 2)


def test_the_tables_say_what_happened() -> None:
    tables = {table.name: table for table in all_tables(found(), WORTH)}
    assert tables["totals"].rows == [
        ("issued", 140, 70, -70),
        ("redeemed", 40, 0, -40),
        ("outstanding at the end", 100, 70, -30),
    ]
    assert tables["money"].rows[0] == (
        "points issued, less those taken back", Fraction(70), Fraction(35), Fraction(-35),
    )  # fmt: skip
    assert tables["tiers"].rows == [("member", 2, 0, -2), ("silver", 0, 2, 2)]
    assert tables["moves"].rows == [("member", "silver", 2)]
    assert [row[0] for row in tables["losses"].rows] == [BOB, ANN]
    assert "gains" not in tables
    assert tables["refused"].rows == [
        ("CaptureHold", "hold_unknown", 0, 0, 1, 0),
        ("PlaceHold", "insufficient_points", 0, 0, 1, 40),
    ]
    assert tables["untold"].rows[0][1] == 3


def test_months_in_which_nothing_happened_are_there_too() -> None:
    assert month_names(found().part) == ["2026-01", "2026-02", "2026-03", "2026-04"]
    months = next(table for table in all_tables(found(), None) if table.name == "months")
    assert months.rows[1] == ("2026-02", 0, 0, 0, 0, 10, 25)


def test_money_is_rounded_for_people_and_never_a_float() -> None:
    assert text_of(Fraction(100_005, 10), "money", WORTH) == "100.01"
    assert text_of(Fraction(-5, 10), "money", WORTH) == "-0.01"
    assert text_of(Fraction(1_234_567), "money", Worth(Fraction(1), "JPY", 0)) == "1,234,567"


class Tags(HTMLParser):
    """Which tags are open at the end, and every address that the page names."""

    VOID = ("meta", "br", "rect", "line", "circle", "polyline")

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.addresses: list[str] = []
        self.ids: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag not in self.VOID:
            self.open.append(tag)
        self.addresses += [value or "" for name, value in attrs if name in ("src", "href", "xlink:href")]
        self.ids += [value or "" for name, value in attrs if name == "id"]

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.ids += [value or "" for name, value in attrs if name == "id"]

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


def test_the_report_stands_alone_and_says_every_number_in_words() -> None:
    tried_ = found()
    said = page(tried_, all_tables(tried_, WORTH), "<new>.yaml", "the versions that were in force", WORTH)
    tags = Tags()
    tags.feed(said)
    assert tags.open == []
    assert tags.addresses == []
    assert "http" not in said and "<script" not in said and "url(" not in said
    assert len(tags.ids) == len(set(tags.ids))
    for wanted in re.findall(r'aria-(?:labelledby|describedby)="([^"]*)"', said):
        assert wanted in tags.ids
    assert "&lt;new&gt;.yaml" in said and "mind &lt;this&gt;" in said
    assert said.count('role="img"') == said.count("<desc ") == said.count("<figcaption ") == 5
    assert "2026-04: 90 before, 45 after" in said


def test_charts_take_nothing_and_what_is_below_zero() -> None:
    for rows in ([], [Series("a", 0, 0)], [Series("a", -5, 3), Series("b", 10**12, -(10**9))]):
        for draw in (bars, columns, lines):
            ElementTree.fromstring(draw("x", "A & B", rows))  # noqa: S314 - our own
