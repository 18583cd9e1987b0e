"""Draws: what a seed says, what comes of it, what is passed over, and who may have a turn."""

from __future__ import annotations

import hashlib
from collections import Counter
from dataclasses import replace
from datetime import UTC, date, datetime
from typing import Any

import pytest

from services.common.errors import InvariantBroken, Refusal
from services.common.program_section import ProgramError
from services.rewards.domain.award_events import (
    MoneyGiven,
    MoneyPromised,
    MoneyRefused,
    PointsGiven,
    PointsPromised,
    PointsRefused,
)
from services.rewards.domain.draw_events import (
    Chance,
    DrawMade,
    TicketsGiven,
    TicketsTaken,
    TurnBegun,
    TurnRefused,
)
from services.rewards.domain.draw_terms import Draw, DrawTerms, Prize
from services.rewards.domain.draws import (
    Player,
    TurnState,
    counters_of,
    draw,
    drawn_again,
    landed,
    may_turn,
    number_of,
    play,
    prize_of,
    turn_after,
)
from services.rewards.domain.gifts import MoneyGift, PointsGift, RewardGift, TicketsGift
from services.rewards.domain.program import parse_program
from services.rewards.domain.voucher_terms import Pack, Terms
from services.rewards.wire import event_of, payload_of
from services.rewards.wire_draws import terms_bytes, terms_of_bytes

NOON = datetime(2026, 11, 11, 12, tzinfo=UTC)
DAY = "2026-11-11"
TEN = (PointsGift(10),)
WHEEL = DrawTerms(
    "wheel",
    (
        Prize("car", "A car", 1, TEN, stock=1, cost=100),
        Prize("coffee", "Coffee", 3, TEN, cost=5),
        Prize("again", "Again", 2, (TicketsGift("wheel", 1),)),
        Prize("nothing", "Nothing", 4),
    ),
)
LOTTERY = Draw("Wheel", WHEEL, free_per_day=1, tickets=2, points=50)


def seed_of(number: int, total: int) -> bytes:
    """A seed that says this number."""
    return next(
        seed for n in range(10_000) if number_of(seed := n.to_bytes(32, "big"), total) == number
    )  # fmt: skip


def counted(event: DrawMade) -> dict[str, int]:
    return {count.counter: count.added for count in event.counts}


def made(number: int, terms: DrawTerms = WHEEL, losses: int = 0, **used: int) -> DrawMade:
    counts = {name.replace("__", "/"): count for name, count in used.items()}
    return draw(terms, "t1", DAY, ("free", 0, 0), seed_of(number, 10), losses, counts)


def test_over_all_numbers_each_prize_has_exactly_its_weight() -> None:
    chances = [Chance(prize.id, prize.weight, False, not prize.give) for prize in WHEEL.prizes]
    assert Counter(prize_of(number, chances, "")[1] for number in range(10)) == {
        "car": 1, "coffee": 3, "again": 2, "nothing": 4,
    }  # fmt: skip
    assert [landed(number, [0, 2, 0, 1]) for number in range(3)] == [1, 1, 3], (
        "a weight of 0 is never landed on"
    )


def test_a_number_is_below_the_sum_of_the_weights() -> None:
    with pytest.raises(InvariantBroken):
        landed(3, [1, 2])


def test_a_seed_says_one_number_and_all_numbers_are_about_as_frequent() -> None:
    seeds = [hashlib.sha256(str(n).encode()).digest() for n in range(7_000)]
    numbers = Counter(number_of(seed, 7) for seed in seeds)
    assert numbers == Counter(number_of(seed, 7) for seed in seeds)
    assert set(numbers) == set(range(7))
    # Seven cells of 1,000: by chi squared with 6 degrees of freedom 22.46 is passed once in a thousand times.
    assert sum((count - 1_000) ** 2 for count in numbers.values()) / 1_000 < 22.46


def test_a_known_seed_says_a_known_number_for_ever() -> None:
    assert number_of(b"\0" * 32, 10**9) == int(hashlib.sha256(b"\0" * 36).hexdigest(), 16) % 10**9


def test_what_cannot_be_had_falls_to_the_next_in_the_program_s_order() -> None:
    assert (made(0).prize, made(0, prize__car=1).prize) == ("car", "coffee")
    event = made(0, prize__car=1)
    assert (event.fell_on, event.won, counted(event)) == ("car", True, {"prize/car": 0})
    assert [(chance.prize, chance.out) for chance in event.chances][:2] == [("car", True), ("coffee", False)]
    assert made(9, prize__car=1).prize == "nothing", "nothing moves up"


def test_when_all_that_is_left_below_is_out_there_is_nothing() -> None:
    terms = replace(WHEEL, prizes=(Prize("coffee", "Coffee", 9, TEN), Prize("car", "A car", 1, TEN, stock=0)))
    event = made(9, terms)
    assert (event.fell_on, event.prize, event.won) == ("car", "", False)


def test_a_budget_passes_over_what_costs_more_than_is_left_of_it() -> None:
    tight = replace(WHEEL, budget_day=104, budget_ever=1_000)
    assert counters_of(tight, DAY) == ["prize/car", "budget", f"budget/{DAY}"]
    assert made(0, tight).prize == "car"
    assert counted(made(0, tight)) == {"prize/car": 1, "budget": 100, f"budget/{DAY}": 100}
    day = {f"budget/{DAY}": 100}
    assert draw(tight, "t", DAY, ("free", 0, 0), seed_of(0, 10), 0, day).prize == "again", (
        "that costs nothing"
    )
    assert made(0, tight, budget=901).prize == "coffee"
    assert made(0, tight, budget=996).prize == "again"
    other_day = draw(tight, "t", "2026-11-12", ("free", 0, 0), seed_of(0, 10), 0, day)
    assert other_day.prize == "car"


def test_after_so_many_losses_the_next_wins() -> None:
    kind = replace(WHEEL, pity_after=3, pity_prize="coffee")
    assert [made(9, kind, losses).prize for losses in (2, 3, 4)] == ["nothing", "coffee", "coffee"]
    assert (made(9, kind, 3).pity, made(9, kind, 2).pity) == ("coffee", "")
    assert made(0, kind, 3).prize == "coffee", "then the number decides nothing"


def test_losses_run_until_something_is_won() -> None:
    player = Player()
    for number, losses in ((9, 1), (8, 2), (1, 0), (9, 1)):
        player = play(player, made(number))
        assert player.losses == losses


def test_a_draw_is_drawn_again_by_its_own_event() -> None:
    kind = replace(WHEEL, pity_after=1, pity_prize="coffee")
    for number in range(10):
        event = made(number, kind, losses=number % 2, prize__car=number % 3)
        assert drawn_again(event)
        assert event_of(*payload_of(event)) == event
        assert not drawn_again(replace(event, prize="car" if event.prize != "car" else "coffee"))
        assert not drawn_again(replace(event, number=(event.number + 1) % 10))


@pytest.mark.parametrize(
    ("draw_", "pay", "player", "day", "code"),
    [
        (None, "free", Player(), 11, "unknown_draw"),
        (replace(LOTTERY, last_day=date(2026, 11, 10)), "credit", Player(), 11, "draw_not_open"),
        (replace(LOTTERY, limit_ever=0), "credit", Player(), 11, "pay_not_offered"),
        (replace(LOTTERY, limit_ever=3, limit_day=1), "free", Player(turns=3), 11, "draw_limit_reached"),
        (replace(LOTTERY, limit_day=1), "free", Player(1, 0, 1, DAY, 1, 1), 11, "draw_limit_reached"),
        (LOTTERY, "free", Player(turns=1, day=DAY, today=1, free_today=1), 11, "free_turn_taken"),
        (LOTTERY, "free", Player(turns=1, day=DAY, today=1, free_today=1), 12, None),
        (LOTTERY, "ticket", Player(tickets=1), 11, "no_ticket"),
        (LOTTERY, "ticket", Player(tickets=2), 11, None),
        (LOTTERY, "points", Player(), 11, None),
        (replace(LOTTERY, points=0), "points", Player(), 11, "pay_not_offered"),
        (replace(LOTTERY, first_day=date(2026, 11, 12)), "free", Player(), 11, "draw_not_open"),
    ],
)  # fmt: skip
def test_who_may_have_a_turn_in_this_order(
    draw_: Draw | None, pay: str, player: Player, day: int, code: str | None
) -> None:
    if code is None:
        assert may_turn(draw_, "wheel", pay, player, date(2026, 11, day)) is draw_
        return
    with pytest.raises(Refusal) as refused:
        may_turn(draw_, "wheel", pay, player, date(2026, 11, day))
    assert refused.value.code == code


def test_a_turn_that_waits_for_the_ledger_counts_until_it_is_refused() -> None:
    begun = TurnBegun("t1", WHEEL, b"s" * 32, DAY, 50)
    waiting = play(Player(), begun)
    assert waiting == Player(turns=1, day=DAY, today=1)
    assert play(waiting, TurnRefused("t1", "wheel", DAY, "insufficient_points", "")) == Player(day=DAY)
    next_day = play(waiting, replace(begun, day="2026-11-12"))
    assert play(next_day, TurnRefused("t1", "wheel", DAY, "x", "")) == Player(
        turns=1, day="2026-11-12", today=1
    )
    paid = draw(WHEEL, "t1", DAY, ("points", 50, 0), seed_of(9, 10), 0, {})
    assert play(waiting, paid) == replace(waiting, losses=1), "it is not counted twice"


def test_tickets_come_and_go() -> None:
    player = play(Player(), TicketsGiven("wheel", 3, "grant", "welcome/ever"))
    turn = draw(WHEEL, "t1", DAY, ("ticket", 0, 2), seed_of(1, 10), 0, {})
    assert play(player, turn).tickets == 1
    with pytest.raises(InvariantBroken):
        play(play(player, turn), turn)
    assert play(player, TicketsTaken("wheel", 3, "redemption", "r1")).tickets == 0
    with pytest.raises(InvariantBroken):
        play(player, TicketsTaken("wheel", 4, "redemption", "r1"))


def test_a_turn_s_life() -> None:
    begun = TurnBegun("t1", WHEEL, seed_of(0, 10), DAY, 50)
    waiting = turn_after(None, "cafe", "ann", begun, NOON, 7)
    assert (waiting.state, waiting.terms, waiting.points) == (TurnState.PAYING, WHEEL, 50)
    paid = draw(WHEEL, "t1", DAY, ("points", 50, 0), begun.seed, 0, {})
    over = turn_after(waiting, "cafe", "ann", paid, NOON, 8)
    assert (over.state, over.prize, over.won, over.terms, over.position) == (
        TurnState.MADE,
        "car",
        True,
        None,
        7,
    )
    refused = turn_after(waiting, "cafe", "ann", TurnRefused("t1", "wheel", DAY, "no", "why"), NOON, 8)
    assert (refused.state, refused.code) == (TurnState.REFUSED, "no")
    free = turn_after(None, "cafe", "ann", made(0), NOON, 9)
    assert (free.state, free.pay) == (TurnState.MADE, "free")
    for turn, event in (
        (None, paid),
        (waiting, begun),
        (over, paid),
        (None, TurnRefused("t", "w", DAY, "", "")),
    ):
        with pytest.raises(InvariantBroken):
            turn_after(turn, "cafe", "ann", event, NOON, 9)


@pytest.mark.parametrize(
    "event",
    [
        PointsPromised("a1", 10, "draw", "t1"),
        PointsGiven("a1"),
        PointsRefused("a1", "member_closed", "it was closed"),
        MoneyPromised("a1", 500, "USD", "redemption", "r1"),
        MoneyGiven("a1"),
        MoneyRefused("a1", "member_closed", "it was closed"),
        TicketsGiven("wheel", 2, "grant", "g/ever"),
        TicketsTaken("wheel", 2, "redemption", "r1"),
        TurnBegun("t1", WHEEL, b"s" * 32, DAY, 50),
        TurnRefused("t1", "wheel", DAY, "insufficient_points", "too few"),
    ],
)
def test_an_event_is_the_same_after_the_journal(event: Any) -> None:
    assert event_of(*payload_of(event)) == event


def test_terms_are_the_same_after_the_column() -> None:
    drink = Terms("drink", "drink", "bogo", valid_days=7)
    gifts = (Pack(drink, 2), PointsGift(5), MoneyGift(70, "USD"), TicketsGift("wheel", 1), RewardGift("mug"))
    terms = replace(
        WHEEL, budget_day=0, pity_after=2, pity_prize="car", prizes=(Prize("all", "All", 1, gifts, 0, 3),)
    )
    assert terms_of_bytes(terms_bytes(terms)) == terms
    assert terms_of_bytes(terms_bytes(None)) is None


EGG = {
    "id": "egg",
    "prizes": [
        {"id": "mug", "weight": 1, "stock": 5, "cost": 900, "give": [{"reward": "mug"}]},
        {"id": "drink", "name": "A drink", "weight": 9, "give": [{"voucher": "drink", "count": 2}]},
        {"id": "ten", "weight": 20, "give": [{"points": 10}, {"draw": "egg"}]},
        {"id": "nothing", "weight": 70},
    ],
    "price": {"free_per_day": 1, "tickets": 1, "points": 50},
    "limits": {"day": 3, "ever": 100},
    "budget": {"day": 1800, "ever": 4500},
    "pity": {"after": 9, "prize": "drink"},
    "dates": {"from": "2026-11-01", "to": "2026-11-30"},
}  # fmt: skip


def read(limit: int = 10, **draw_: Any) -> Draw:
    rewards = {
        "vouchers": [{"id": "drink", "kind": "bogo"}],
        "catalogue": [{"id": "mug", "kind": "product", "points": 900}],
        "draws": [EGG | draw_],
    }
    ledger = {"adjustments": {"reasons": ["reward"], "limit": limit}}
    return parse_program({"program": "cafe", "ledger": ledger, "rewards": rewards}, "v").draws["egg"]


def test_a_program_says_how_it_draws() -> None:
    egg = read()
    assert [prize.give for prize in egg.terms.prizes] == [
        (RewardGift("mug"),),
        (Pack(Terms("drink", "drink", "bogo"), 2),),
        (PointsGift(10), TicketsGift("egg", 1)),
        (),
    ]
    assert (egg.name, egg.ways, egg.limit_day, egg.limit_ever) == (
        "egg",
        ("free", "ticket", "points"),
        3,
        100,
    )
    assert (egg.terms.budget_day, egg.terms.pity_after, egg.terms.pity_prize) == (1800, 9, "drink")
    assert egg.terms.prizes[0].stock == 5 and egg.terms.prizes[1].stock is None


@pytest.mark.parametrize(
    ("draw_", "field"),
    [
        ({"prizes": []}, "prizes"),
        ({"prizes": [{"id": "nothing", "weight": 0}], "pity": {"after": 1, "prize": "nothing"}}, "prizes"),
        ({"prizes": [{"id": "a", "weight": 1}, {"id": "a", "weight": 1}]}, "prizes[1].id"),
        ({"prizes": [{"id": "a", "weight": -1}]}, "prizes[0].weight"),
        ({"prizes": [{"id": "a", "weight": 1, "give": [{"draw": "wheel"}]}]}, "prizes[0].give[0].draw"),
        ({"prizes": [{"id": "a", "weight": 1, "give": [{"reward": "cup"}]}]}, "prizes[0].give[0].reward"),
        ({"prizes": [{"id": "a", "weight": 1, "give": [{"points": 11}]}]}, "prizes[0].give[0].points"),
        ({"prizes": [{"id": "a", "weight": 1, "give": [{"points": 1, "draw": "egg"}]}]}, "prizes[0].give[0].voucher"),
        ({"prizes": [{"id": "a", "weight": 1, "give": [{"points": 1, "count": 2}]}]}, "prizes[0].give[0].count"),
        ({"price": {}}, "price"),
        ({"price": {"free": 1}}, "price.free"),
        ({"pity": {"after": 1, "prize": "nothing"}}, "pity.prize"),
        ({"pity": {"after": 0, "prize": "drink"}}, "pity.after"),
        ({"id": "a b"}, "id"),
    ],
)  # fmt: skip
def test_a_wrong_field_is_named(draw_: dict[str, Any], field: str) -> None:
    with pytest.raises(ProgramError) as wrong:
        read(**draw_)
    assert wrong.value.field == f"rewards.draws[0].{field}"
