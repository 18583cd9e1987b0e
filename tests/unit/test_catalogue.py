"""The catalogue: what an entry may say, what keeps a member from it, and which refusal is told first."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from services.common.errors import Refusal
from services.common.program_section import ProgramError
from services.rewards.domain.catalogue import KINDS, Limit, Looked, Reward, why_not
from services.rewards.domain.events import RedemptionRequested
from services.rewards.domain.payment import BasketLine, PayingVoucher
from services.rewards.domain.program import Program, parse_program
from services.rewards.domain.reservation import Reserve, reserve
from services.rewards.domain.standing import Segments, Standing
from services.rewards.domain.voucher_terms import Terms
from services.rewards.domain.vouchers import Voucher, VoucherState

NEW_YORK, TOKYO, UTC_ZONE = ZoneInfo("America/New_York"), ZoneInfo("Asia/Tokyo"), ZoneInfo("UTC")
TUESDAY = datetime(2026, 11, 3, 15, tzinfo=UTC)
"""10 o'clock in New York; in Tokyo it is Wednesday."""
KIT = {
    "id": "kit", "kind": "product", "points": 2500, "money": 500, "stock": 2, "limit": {"count": 1, "per": "month"},
    "when": {"weekdays": ["tue"], "hours": [{"from": "10:00", "to": "20:00"}]}, "tiers": ["rouge"],
    "segments": {"lifecycle": ["active"]}, "tags": ["vip"],
}  # fmt: skip
ROUGE = Standing("rouge", Segments("active", tags=frozenset({"vip"})))


def program(*catalogue: dict[str, Any], **ledger: Any) -> Program:
    document = {
        "program": "beauty",
        "time_zone": "America/New_York",
        "ledger": {"currency": "USD", "stored_value": {}, "stores": {"t1": {"time_zone": "Asia/Tokyo"}}}
        | ledger,
        "tiering": {"tiers": [{"name": "insider"}, {"name": "rouge"}]},
        "rewards": {
            "catalogue": list(catalogue),
            "vouchers": [{"id": "drink", "kind": "product"}],
            "draws": [{"id": "wheel", "prizes": [{"id": "none", "weight": 1}], "price": {"tickets": 1}}],
        },
    }
    return parse_program(document, "v1")


BEAUTY = program(KIT, {"id": "five_off", "kind": "discount", "points": 500, "value": 500})
OPEN = Looked(TUESDAY, NEW_YORK, ROUGE)


def codes(reward: Reward, looked: Looked) -> list[str]:
    return [code for code, _ in why_not(reward, looked, "insider")]


def test_who_meets_every_condition_may_have_it() -> None:
    assert codes(BEAUTY.catalogue["kit"], OPEN) == []


def test_all_that_keeps_a_member_from_it_is_told_in_order() -> None:
    nobody = Looked(TUESDAY.replace(hour=14), NEW_YORK, had=1, taken=2)
    assert codes(BEAUTY.catalogue["kit"], nobody) == [
        "reward_not_now", "reward_not_for_tier", "limit_reached", "out_of_stock",
    ]  # fmt: skip
    assert codes(BEAUTY.catalogue["kit"], replace(OPEN, standing=Standing("rouge"))) == [
        "reward_not_for_segment"
    ]
    active = Standing("rouge", Segments("active"))
    assert codes(BEAUTY.catalogue["kit"], replace(OPEN, standing=active)) == ["reward_not_for_tag"]


@pytest.mark.parametrize(
    ("at", "zone", "open_"),
    [
        (datetime(2026, 11, 3, 15, 0, tzinfo=UTC), NEW_YORK, True),
        (datetime(2026, 11, 3, 14, 59, 59, 999_999, tzinfo=UTC), NEW_YORK, False),
        (datetime(2026, 11, 4, 0, 59, tzinfo=UTC), NEW_YORK, True),
        (datetime(2026, 11, 4, 1, 0, tzinfo=UTC), NEW_YORK, False),
        # Tuesday has begun in Tokyo, and ended there before New York's has begun.
        (datetime(2026, 11, 3, 1, 0, tzinfo=UTC), TOKYO, True),
        (datetime(2026, 11, 3, 15, 0, tzinfo=UTC), TOKYO, False),
        # The hour is the wall's on both sides of a change of the clocks.
        (datetime(2026, 10, 27, 14, 0, tzinfo=UTC), NEW_YORK, True),
        (datetime(2026, 10, 27, 13, 59, tzinfo=UTC), NEW_YORK, False),
    ],
)
def test_a_window_is_in_the_time_of_the_store(at: datetime, zone: ZoneInfo, open_: bool) -> None:
    assert ("reward_not_now" not in codes(BEAUTY.catalogue["kit"], Looked(at, zone))) is open_


def test_a_store_that_is_not_named_keeps_the_program_s_time() -> None:
    assert [BEAUTY.zone_of(store) for store in ("t1", "elsewhere", "")] == [TOKYO, NEW_YORK, NEW_YORK]


@pytest.mark.parametrize(
    ("per", "since"),
    [
        ("day", datetime(2026, 11, 3, 5, tzinfo=UTC)),
        ("week", datetime(2026, 11, 2, 5, tzinfo=UTC)),
        # Summer time ended on the first of November at 2: the month began by it.
        ("month", datetime(2026, 11, 1, 4, tzinfo=UTC)),
        ("year", datetime(2026, 1, 1, 5, tzinfo=UTC)),
        ("ever", None),
    ],
)
def test_a_limit_s_period_begins_by_the_program_s_calendar(per: Any, since: datetime | None) -> None:
    assert Limit(1, per).since(TUESDAY, NEW_YORK) == since


def test_each_kind_keeps_what_it_is() -> None:
    catalogue = program(
        {"id": "a", "kind": "trial", "points": 1, "days": 30},
        {"id": "b", "kind": "draw_ticket", "points": 1, "draw": "wheel", "count": 3},
        {"id": "c", "kind": "stored_value", "points": 1, "value": 1000},
        {"id": "d", "kind": "voucher_pack", "points": 1, "voucher": "drink", "count": 2},
        {"id": "e", "kind": "experience", "money": 700},
    ).catalogue
    assert catalogue["a"].days == 30
    assert (catalogue["b"].draw, catalogue["b"].tickets) == ("wheel", 3)
    assert catalogue["c"].value == 1000
    assert catalogue["d"].pack is not None and catalogue["d"].pack.count == 2
    assert (catalogue["e"].points, catalogue["e"].money) == (0, 700)
    assert {reward.kind for reward in catalogue.values()} < set(KINDS)


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({"points": 0}, "points"),
        ({"money": 0}, "money"),
        ({"stock": -1}, "stock"),
        ({"limit": {"count": 0}}, "limit.count"),
        ({"limit": {"count": 1, "per": "hour"}}, "limit.per"),
        ({"limit": 1}, "limit"),
        ({"tiers": ["gold"]}, "tiers"),
        ({"segments": {"rfm": []}}, "segments.rfm"),
        ({"when": {"weekdays": ["tuesday"]}}, "when.weekdays"),
        ({"when": {"weekdays": []}}, "when.weekdays"),
        ({"when": {"hours": [{"from": "20:00", "to": "10:00"}]}}, "when.hours[0].to"),
        ({"when": {"dates": [{"from": "2026-11-01"}]}}, "when.dates[0].to"),
        ({"when": {"month": 1}}, "when.month"),
        ({"days": 3}, "days"),
        ({"draw": "wheel"}, "draw"),
        ({"voucher": "drink"}, "voucher"),
        ({"kind": "trial"}, "days"),
        ({"kind": "draw_ticket"}, "draw"),
        ({"kind": "stored_value"}, "value"),
        ({"kind": "voucher_pack"}, "voucher"),
    ],
)
def test_an_error_names_the_field(fields: dict[str, Any], field: str) -> None:
    with pytest.raises(ProgramError) as caught:
        program({"id": "x", "kind": "product", "points": 1} | fields)
    assert caught.value.field == f"rewards.catalogue[0].{field}"


@pytest.mark.parametrize("fields", [{"money": 5}, {"kind": "stored_value", "value": 1}])
def test_money_needs_a_program_that_keeps_it(fields: dict[str, Any]) -> None:
    document = {
        "program": "x",
        "rewards": {"catalogue": [{"id": "x", "kind": "product", "points": 1} | fields]},
    }
    with pytest.raises(ProgramError, match="stored_value"):
        parse_program(document, "v1")


TEN_OFF = Terms("ten_off", "ten off", "percent", 10, minimum_spend=50_00)
VOUCHER = Voucher(
    "v" * 24, "beauty", "ann", TEN_OFF, VoucherState.ISSUED, "ops", "k", TUESDAY, TUESDAY, None, 1
)
BASKET = (BasketLine(1, "A", "care", 2, 80_00), BasketLine(2, "B", "care", 1, 20_00))
ORDER = Reserve("r1", "ann", "kit", "o1", None, "s1", 40_00, VOUCHER.id, 50_00, BASKET)


def test_a_request_holds_all_that_the_order_is_paid_with() -> None:
    (event,) = reserve(BEAUTY, None, ORDER, OPEN, VOUCHER)
    assert event == RedemptionRequested(
        "r1", "kit", "o1", 2500, 900, "product", "kit", 0, None, "USD", 500 + 40_00, "s1",
        (PayingVoucher(VOUCHER.id, 10_00),), 50_00, True, "", 0, 0, BASKET,
    )  # fmt: skip


def test_an_order_may_be_paid_without_a_reward() -> None:
    (event,) = reserve(BEAUTY, None, replace(ORDER, reward=""), OPEN, VOUCHER)
    assert isinstance(event, RedemptionRequested)
    assert (event.reward, event.points, event.money, event.stocked) == ("", 0, 40_00, False)


def test_a_discount_takes_its_value_off_and_never_more_than_there_is() -> None:
    five_off = replace(ORDER, reward="five_off", money=35_00)
    (event,) = reserve(BEAUTY, None, five_off, OPEN, VOUCHER)
    assert isinstance(event, RedemptionRequested)
    assert (event.points, event.value, event.money) == (500, 500, 35_00)
    cheap = replace(
        ORDER, reward="five_off", money=0, voucher="", outside=0, lines=(BasketLine(1, "", "", 1, 300),)
    )
    assert reserve(BEAUTY, None, cheap, OPEN)


REFUSED: list[tuple[str, dict[str, Any]]] = [
    ("unknown_reward", {"reward": "sofa"}),
    ("reward_not_now", {"at": TUESDAY.replace(hour=3)}),
    ("reward_not_for_tier", {"standing": Standing()}),
    ("reward_not_for_segment", {"standing": Standing("rouge", Segments(tags=frozenset({"vip"})))}),
    ("reward_not_for_tag", {"standing": Standing("rouge", Segments("active"))}),
    ("limit_reached", {"had": 1}),
    ("unknown_voucher", {"voucher_row": None}),
    ("line_repeated", {"lines": (BASKET[0], BASKET[0])}),
    ("payment_mismatch", {"outside": 1}),
    ("out_of_stock", {"taken": 2}),
]
"""One mistake each, in the order of the table in docs/redemptions.md, less the first: there is no program."""


def asked(*mistakes: dict[str, Any]) -> str:
    """The code of a request with these mistakes."""
    made: dict[str, Any] = {}
    for mistake in reversed(mistakes):
        made |= mistake
    looked = replace(OPEN, **{k: v for k, v in made.items() if k in ("at", "standing", "had", "taken")})
    command = replace(
        ORDER, **{k: v for k, v in made.items() if k in ("reward", "lines", "outside", "money", "voucher")}
    )
    try:
        reserve(BEAUTY, None, command, looked, made.get("voucher_row", VOUCHER))
    except Refusal as refusal:
        return refusal.code
    return "ok"


@pytest.mark.parametrize(("code", "mistake"), REFUSED, ids=[code for code, _ in REFUSED])
def test_of_two_mistakes_the_first_in_the_table_is_told(code: str, mistake: dict[str, Any]) -> None:
    assert asked(mistake) == code
    later = [other for other, _ in REFUSED]
    for second, other in REFUSED[later.index(code) + 1 :]:
        if set(mistake) & set(other):
            continue  # Both are of one field, so both can't be.
        assert asked(mistake, other) == code, second


def test_an_order_may_be_paid_without_points_and_stored_value() -> None:
    only_voucher = replace(ORDER, reward="", money=0, outside=90_00)
    (event,) = reserve(BEAUTY, None, only_voucher, OPEN, VOUCHER)
    assert isinstance(event, RedemptionRequested)
    assert (event.points, event.money, event.outside, event.currency) == (0, 0, 90_00, "USD")
    assert event.vouchers == (PayingVoucher(VOUCHER.id, 10_00),)
    with pytest.raises(Refusal, match="payment_mismatch"):
        reserve(BEAUTY, None, replace(only_voucher, outside=91_00), OPEN, VOUCHER)


def test_the_page_has_the_refusals_in_this_order() -> None:
    page = (Path(__file__).parents[2] / "docs" / "redemptions.md").read_text()
    table = page.partition("## A reservation")[2].partition("## A refund")[0]
    rows = [row.split("`")[1] for row in table.splitlines() if row[2:3].isdigit()]
    # Those of an order that the program prices are test_quoted_orders'.
    rows = [code for code in rows if not code.startswith(("price_", "points_"))]
    # The last is asked of the database, of an order that the ledger has no part in.
    assert rows == ["unknown_program", *(code for code, _ in REFUSED), "unknown_member"]
