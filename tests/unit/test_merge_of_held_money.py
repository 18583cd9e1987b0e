"""A hold with money comes over by a merge: with its lots, what it has spent, and what was given back of it."""

from __future__ import annotations

from datetime import timedelta

from services.common.errors import Refusal
from services.ledger.domain.events import HoldMoved, LotMoved, MemberAbsorbed, MoneyExpired, TopUpMoved
from services.ledger.domain.postings import postings_of
from services.ledger.people_views import describe
from tests.unit import ledger_given as g
from tests.unit.ledger_given import DAY, NOON, Given, usd

RULES = {"ladder": [{"load": 10_000, "bonus": 1_000}], "expiry": {"bonus_months": 3}}
HOLDS = {"default_ttl_seconds": 900, "max_ttl_seconds": 86_400 * 100}


def given(*, ttl: int | None = None, captured: int | None = None, merged: bool = True) -> Given:
    """Bob holds 60 points and 1,500 cents, 1,000 of them bonus; some may be captured; then he is ann."""
    book = Given(g.clock(NOON), g.purchase("p0", 10_000), rules=g.program(stored_value=RULES, holds=HOLDS))
    book.when(g.purchase("p1", 10_000, member="bob"))
    book.when(g.top_up(member="bob"))
    book.when(g.hold(60, member="bob", money=usd(1_500), ttl=ttl))
    if captured is not None:
        book.when(g.capture(amount=0, money=usd(captured), member="bob", final=False))
    if merged:
        book.when(g.merge())
    return book


def money(book: Given, member: str = "ann") -> tuple[tuple[int, int], ...]:
    """(left, held) of principal and bonus."""
    assets = ("USD.principal", "USD.bonus")
    found = [[lot for lot in book.member(member).money.values() if lot.asset == asset] for asset in assets]
    return tuple((sum(lot.remaining for lot in some), sum(lot.held for lot in some)) for some in found)


def code_of(book: Given, command: object) -> str:
    try:
        book.when(command)  # type: ignore[arg-type]
    except Refusal as refusal:
        return refusal.code
    return ""


def test_a_hold_brings_its_money_by_the_lots_new_ids() -> None:
    book = given(merged=False, captured=300)
    before = {lot.asset: lot.id for lot in book.member("bob").money.values()}
    events = book.when(g.merge())
    now = {lot.asset: lot.id for lot in book.member("ann").money.values()}
    assert now.keys() == before.keys()
    assert not set(now.values()) & set(before.values())
    (hold,) = [event for event in events if isinstance(event, HoldMoved)]
    assert (hold.money_currency, hold.money_amount, hold.money_captured, hold.money_refunded) == (
        "USD", 1_500, 300, 0,
    )  # fmt: skip
    assert dict(hold.money_allocations) == {now["USD.principal"]: 500, now["USD.bonus"]: 700}
    assert hold.money_spent == [(now["USD.bonus"], 300)]
    assert money(book) == ((10_000, 500), (700, 700))
    assert money(book, "bob") == ((0, 0), (0, 0))


def test_money_that_is_held_leaves_one_chain_and_reaches_the_other() -> None:
    book = given(merged=False)
    start = book.position
    book.when(g.merge())
    sums: dict[tuple[str, str], int] = {}
    for position, decided in book.journal[start:]:
        for debit, credit, asset, amount, _ in postings_of(decided.event, decided.member or "", position):
            sums[debit, asset] = sums.get((debit, asset), 0) - amount
            sums[credit, asset] = sums.get((credit, asset), 0) + amount
    for asset, amount in (("USD.principal", 10_000), ("USD.bonus", 1_000), ("points", 100)):
        assert sums["member/ann", asset] == -sums["member/bob", asset] == amount
        assert sums["in_transit", asset] == 0


def test_a_moved_hold_is_captured_in_parts_from_the_survivors_lots() -> None:
    book = given(captured=300)
    book.when(g.capture(amount=20, money=usd(800), final=False))
    assert book.member().holds["h1"].state == "open"
    assert (book.balance(), money(book)) == ((180, 40, 0), ((9_900, 400), (0, 0)))
    assert code_of(book, g.capture(amount=0, money=usd(401))) == "value_exceeds_hold"
    book.when(g.capture())
    hold = book.member().holds["h1"]
    assert (hold.state, hold.captured, hold.money.captured) == ("captured", 60, 1_500)
    assert (book.balance(), money(book)) == ((140, 0, 0), ((9_500, 0), (0, 0)))


def test_a_moved_hold_that_is_released_frees_both() -> None:
    book = given(captured=300)
    book.when(g.release())
    assert (book.balance(), money(book)) == ((200, 0, 0), ((10_000, 0), (700, 0)))
    assert book.member().holds["h1"].state == "released"


def test_a_moved_hold_times_out_with_its_money() -> None:
    book = given(ttl=60)
    book.when(g.clock(NOON + timedelta(seconds=60)))
    assert book.member().holds["h1"].state == "expired"
    assert (book.balance(), money(book)) == ((200, 0, 0), ((10_000, 0), (1_000, 0)))


def test_a_moved_hold_protects_its_bonus_until_it_times_out() -> None:
    book = given(ttl=86_400 * 100)
    book.when(g.clock(NOON + 95 * DAY))
    assert money(book) == ((10_000, 500), (1_000, 1_000))
    events = book.when(g.clock(NOON + 100 * DAY))
    assert [event.amount for event in events if isinstance(event, MoneyExpired)] == [1_000]
    assert money(book) == ((10_000, 0), (0, 0))


def test_an_order_is_refunded_to_the_lots_that_it_was_paid_from() -> None:
    """Those that it has emptied come over for it, and so does what was refunded before."""
    book = given(merged=False)
    book.when(g.capture(member="bob"))
    book.when(g.refund(amount=10, money=usd(100), member="bob"))
    events = book.when(g.merge())
    moved = {event.asset: (event.amount, event.points) for event in events if isinstance(event, LotMoved)}
    assert moved == {"points": (100, 50), "USD.principal": (10_000, 9_600), "USD.bonus": (1_000, 0)}
    (left,) = [event for event in events if isinstance(event, MemberAbsorbed)]
    assert [(asset, amount) for asset, _, amount in left.money] == [("USD.principal", 9_600)]
    assert code_of(book, g.refund(amount=0, money=usd(1_401))) == "value_exceeds_spend"
    book.when(g.refund(id_="f2"))
    assert (book.balance(), money(book)) == ((200, 0, 0), ((10_000, 0), (1_000, 0)))
    assert code_of(book, g.refund(id_="f3")) == "order_already_refunded"


def test_a_hold_of_money_alone_that_was_spent_comes_over_too() -> None:
    book = given(merged=False)
    book.when(g.hold(0, "h2", member="bob", money=usd(700)))
    book.when(g.capture("h2", member="bob"))
    book.when(g.merge())
    book.when(g.refund("order-h2", money=usd(200)))
    assert money(book) == ((9_500, 500), (1_000, 1_000))


def test_an_order_that_both_paid_for_is_given_back_whole() -> None:
    """Two ids may have paid for one order: whose hold it was makes no difference any more."""
    book = given(merged=False)
    book.when(g.capture(member="bob"))
    book.when(g.top_up("t2", 100))
    book.when(g.hold(30, "h2", order="order-h1", money=usd(50)))
    book.when(g.capture("h2"))
    book.when(g.merge())
    book.when(g.refund())
    assert (book.balance(), money(book)) == ((200, 0, 0), ((10_100, 0), (1_000, 0)))


def test_a_top_up_is_not_undone_while_a_moved_hold_has_of_it() -> None:
    book = given(captured=300)
    assert code_of(book, g.reverse_top_up()) == "top_up_held"
    book.when(g.release())
    book.when(g.reverse_top_up())
    # 300 of the bonus were spent: they are kept of what was paid in.
    assert money(book) == ((0, 0), (0, 0))


def test_a_top_up_keeps_its_emptied_bonus_lot_where_an_order_may_give_it_back() -> None:
    book = given(merged=False)
    book.when(g.capture(member="bob"))
    (moved,) = [event for event in book.when(g.merge()) if isinstance(event, TopUpMoved)]
    bonus = book.lot_of("USD.bonus")
    assert (moved.bonus_lot, book.member().money[bonus].remaining) == (bonus, 0)
    book.when(g.refund())
    book.when(g.reverse_top_up())
    assert money(book) == ((0, 0), (0, 0))


def test_a_statement_tells_what_a_hold_brings() -> None:
    def told(book: Given) -> list[str]:
        events = book.when(g.merge())
        return [describe(event)[1] for event in events if isinstance(event, HoldMoved)]

    held = "hold of 60 points and 1200 USD minor units for order order-h1 came over"
    assert told(given(merged=False, captured=300)) == [held]
    book = given(merged=False)
    book.when(g.capture(member="bob"))
    book.when(g.hold(0, "h2", member="bob", money=usd(5)))
    assert told(book) == [
        "what was spent for order order-h1 came over",
        "hold of 5 USD minor units for order order-h2 came over",
    ]
