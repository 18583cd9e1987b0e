"""Vouchers: what they take off, what is refused first, and what the clock does."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from services.common.errors import InvariantBroken, Refusal
from services.common.program_section import ProgramError
from services.rewards.domain import voucher_events as e
from services.rewards.domain.program import parse_program
from services.rewards.domain.voucher_terms import Line, Pack, Terms, discount
from services.rewards.domain.vouchers import (
    TRANSITIONS,
    WHERE_IT_STANDS,
    Voucher,
    VoucherState,
    begin,
    claim,
    evolve,
    gift,
    issued,
    lapse,
    unuse,
    use,
    void,
    withdraw,
)
from services.rewards.wire import event_of, payload_of

DOCS = Path(__file__).parents[2] / "docs"
NOON = datetime(2026, 1, 5, 12, tzinfo=UTC)
DAY = timedelta(days=1)
CODE = b"c" * 32
TERMS = Terms("drink", "A drink", "amount", 500, valid_days=7, gift=True, claim_days=3)
BASKET = [Line("latte", "drinks", 2, 8_00), Line("mug", "things", 1, 15_00), Line("tea", "drinks", 1, 3_50)]
S = VoucherState


def given(*steps: Any, terms: Terms = TERMS) -> Voucher:
    """Ann's voucher of noon, after steps an hour apart."""
    voucher = begin("cafe", "ann", e.VoucherIssued("v1", terms, "ops", "k", terms.expires_at(NOON)), NOON, 1)
    for hours, step in enumerate(steps, 1):
        voucher = evolve(voucher, step, NOON + timedelta(hours=hours))
    return voucher


GIFTED = e.VoucherGifted("v1", CODE, NOON + 3 * DAY)
CLAIMED = begin("cafe", "bob", e.VoucherClaimed("v1", TERMS, "ann", NOON + 7 * DAY), NOON, 1)
AT: dict[VoucherState, Voucher] = {
    S.ISSUED: given(),
    S.GIFTED: given(GIFTED),
    S.GIVEN: given(GIFTED, e.VoucherGiven("v1", "bob")),
    S.CLAIMED: CLAIMED,
    S.HELD: given(e.VoucherHeld("v1", "o1", 500)),
    S.USED: given(e.VoucherUsed("v1", "o1", 500)),
    S.EXPIRED: given(e.VoucherExpired("v1")),
    S.VOIDED: given(e.VoucherVoided("v1", "a mistake")),
}


@pytest.mark.parametrize(
    ("terms", "taken"),
    [
        (Terms("x", "x", "percent", 10), 265),
        (Terms("x", "x", "percent", 33, categories=("drinks",)), 379),
        (Terms("x", "x", "amount", 500), 500),
        (Terms("x", "x", "amount", 50_00, skus=("tea",)), 350),
        (Terms("x", "x", "product", categories=("drinks",)), 400),
        (Terms("x", "x", "product", skus=("mug",)), 15_00),
        (Terms("x", "x", "bogo", categories=("drinks",)), 400),
        (Terms("x", "x", "bogo", skus=("tea", "mug")), 350),
    ],
)
def test_a_voucher_takes_off_what_its_kind_says_and_never_more_than_that_costs(
    terms: Terms, taken: int
) -> None:
    assert discount(terms, "s1", BASKET) == taken


STRICT = Terms("x", "x", "amount", 5, minimum_spend=100_00, skus=("cake",), stores=("s2",))


@pytest.mark.parametrize(
    ("terms", "code"),
    [
        (STRICT, "voucher_not_for_store"),
        (replace(STRICT, stores=()), "voucher_minimum_spend"),
        (replace(STRICT, stores=(), minimum_spend=26_50), "voucher_nothing_eligible"),
        (Terms("x", "x", "bogo", skus=("mug",)), "voucher_nothing_eligible"),
    ],
)
def test_of_two_faults_of_a_basket_the_first_in_the_table_is_told(terms: Terms, code: str) -> None:
    with pytest.raises(Refusal) as refused:
        discount(terms, "s1", BASKET)
    assert refused.value.code == code


ASKED: dict[str, Callable[[Voucher | None], object]] = {
    "use": lambda v: use(v, "v1", "o1", "s1", BASKET, NOON),
    "unuse": lambda v: unuse(v, "v1", "o1"),
    "gift": lambda v: gift(v, "v1", CODE, NOON),
    "withdraw": lambda v: withdraw(v, "v1"),
    "void": lambda v: void(v, "v1", "a mistake"),
}
CELLS = [("use", state) for state in S] + [(name, state) for name in ASKED if name != "use" for state in S]


def outcome(name: str, voucher: Voucher | None) -> str:
    try:
        ASKED[name](voucher)
    except Refusal as refusal:
        return refusal.code
    return "ok"


def documented(columns: Sequence[str]) -> dict[tuple[str, str], str]:
    """The table of states in docs/programs/vouchers.md."""
    found = {}
    for line in (DOCS / "programs" / "vouchers.md").read_text().splitlines():
        cells = [cell.strip(" `") for cell in line.strip("|").split("|")]
        if len(cells) == len(columns) + 1 and cells[0] in list(S):
            found |= {(name, cells[0]): cell for name, cell in zip(columns, cells[1:], strict=True)}
    return found


@pytest.mark.parametrize(("name", "state"), CELLS)
def test_what_can_be_done_in_each_state_is_what_the_page_says(name: str, state: VoucherState) -> None:
    assert documented(list(ASKED))[name, str(state)] == outcome(name, AT[state])


@pytest.mark.parametrize("name", ASKED)
def test_an_unknown_voucher_is_told_first(name: str) -> None:
    assert outcome(name, None) == "unknown_voucher"


def test_a_voucher_past_its_day_is_refused_before_the_clock_has_taken_it() -> None:
    late = NOON + 7 * DAY
    for refused in (
        lambda: use(AT[S.ISSUED], "v1", "o", "s", BASKET, late),
        lambda: gift(AT[S.ISSUED], "v1", CODE, late),
    ):
        with pytest.raises(Refusal, match="voucher_expired"):
            refused()
    assert use(AT[S.ISSUED], "v1", "o", "s", BASKET, late - timedelta(microseconds=1))


def test_another_order_does_not_get_the_voucher_back() -> None:
    with pytest.raises(Refusal, match="voucher_used_for_another_order"):
        unuse(AT[S.USED], "v1", "o2")


def test_what_the_program_does_not_let_go_is_no_gift() -> None:
    with pytest.raises(Refusal, match="voucher_no_gift"):
        gift(given(terms=replace(TERMS, gift=False)), "v1", CODE, NOON)


@pytest.mark.parametrize(
    ("voucher", "is_its_code", "member", "present", "code"),
    [
        (None, False, "bob", NOON, "unknown_code"),
        (AT[S.GIFTED], False, "bob", NOON, "unknown_code"),
        (AT[S.ISSUED], True, "bob", NOON, "unknown_code"),
        (AT[S.VOIDED], True, "ann", NOON + 9 * DAY, "unknown_code"),
        (AT[S.GIVEN], True, "ann", NOON + 9 * DAY, "gift_already_claimed"),
        (AT[S.GIFTED], True, "ann", NOON + 3 * DAY, "gift_over"),
        (AT[S.GIFTED], True, "ann", NOON, "own_gift"),
    ],
)
def test_a_claim_is_refused_in_the_order_of_the_table(
    voucher: Voucher | None, is_its_code: bool, member: str, present: datetime, code: str
) -> None:
    with pytest.raises(Refusal) as refused:
        claim(voucher, is_its_code, member, present)
    assert refused.value.code == code


def test_a_gift_leaves_one_member_and_arrives_at_the_other_with_all_that_it_was() -> None:
    leaves, arrives = claim(AT[S.GIFTED], True, "bob", NOON)
    assert evolve(AT[S.GIFTED], leaves, NOON).claimed_by == "bob"
    assert isinstance(arrives, e.VoucherClaimed)
    bobs = begin("cafe", "bob", arrives, NOON, 7)
    assert (bobs.state, bobs.giver, bobs.terms, bobs.expires_at) == (
        S.CLAIMED, "ann", TERMS, AT[S.GIFTED].expires_at,
    )  # fmt: skip


def lapsed(voucher: Voucher, present: datetime) -> Voucher:
    for event, at in list(lapse(voucher, present)):
        voucher = evolve(voucher, event, at)
    return voucher


def test_an_unclaimed_gift_goes_back_and_expires_on_its_own_day() -> None:
    assert lapsed(AT[S.GIFTED], NOON + 3 * DAY - timedelta(microseconds=1)).state is S.GIFTED
    back = lapsed(AT[S.GIFTED], NOON + 3 * DAY)
    assert (back.state, back.changed_at, back.due_at) == (S.ISSUED, NOON + 3 * DAY, NOON + 7 * DAY)
    both = lapsed(AT[S.GIFTED], NOON + 30 * DAY)
    assert (both.state, both.changed_at, both.due_at) == (S.EXPIRED, NOON + 7 * DAY, None)


def test_a_gift_does_not_outlive_its_voucher() -> None:
    (step,) = gift(AT[S.ISSUED], "v1", CODE, NOON + 5 * DAY)
    assert isinstance(step, e.VoucherGifted)
    assert step.until == NOON + 7 * DAY


@pytest.mark.parametrize("state", [S.ISSUED, S.CLAIMED])
def test_an_order_that_is_cancelled_gives_the_voucher_back_until_its_day(state: VoucherState) -> None:
    used = evolve(AT[state], e.VoucherUsed("v1", "o1", 5), NOON + DAY)
    assert lapsed(used, NOON + 30 * DAY) == used
    back = evolve(used, e.VoucherUnused("v1", "o1"), NOON + 9 * DAY)
    assert (back.state, back.order, back.discount) == (state, None, None)
    late = lapsed(back, NOON + 9 * DAY)
    assert (late.state, late.changed_at) == (S.EXPIRED, NOON + 9 * DAY)


def test_a_voucher_without_an_end_never_lapses() -> None:
    voucher = given(terms=Terms("x", "x", "bogo"))
    assert list(lapse(voucher, NOON + 40_000 * DAY)) == []
    assert voucher.due_at is None


def test_a_pack_gives_as_many_vouchers_as_it_says_each_with_an_id_of_its_own() -> None:
    steps = issued(Pack(TERMS, 3), "cafe", "ann", "ops", "k", NOON)
    assert len({step.voucher for step in steps}) == 3
    assert steps == issued(Pack(TERMS, 3), "cafe", "ann", "ops", "k", NOON)
    assert {step.voucher for step in issued(Pack(TERMS, 3), "cafe", "bob", "ops", "k", NOON)}.isdisjoint(
        step.voucher for step in steps
    )


@pytest.mark.parametrize("event", TRANSITIONS)
def test_an_event_out_of_its_place_is_a_broken_invariant(event: type) -> None:
    fields = {
        e.VoucherGifted: (CODE, NOON), e.VoucherGiftReturned: ("withdrawn",), e.VoucherGiven: ("bob",),
        e.VoucherHeld: ("o1", 5), e.VoucherUsed: ("o1", 5), e.VoucherUnused: ("o1",),
            e.VoucherVoided: ("why",),
    }  # fmt: skip
    for state, voucher in AT.items():
        if state not in TRANSITIONS[event]:
            with pytest.raises(InvariantBroken):
                evolve(voucher, event("v1", *fields.get(event, ())), NOON)


def test_every_state_says_why_something_can_t_be_done_there() -> None:
    assert set(WHERE_IT_STANDS) == set(S)


FULL = Terms(
    "x",
    "X",
    "percent",
    10,
    5,
    ("a",),
    ("b",),
    ("c",),
    0,
    NOON.replace(microsecond=7),
    gift=True,
    claim_days=9,
)


@pytest.mark.parametrize(
    "event",
    [
        e.VoucherIssued("v1", FULL, "ops", "k", NOON),
        e.VoucherIssued("v1", Terms("x", "x", "bogo"), "ops", "k", None),
        GIFTED,
        e.VoucherGiftReturned("v1", "unclaimed"),
        e.VoucherGiven("v1", "bob"),
        e.VoucherClaimed("v1", FULL, "ann", NOON),
        e.VoucherUsed("v1", "o", 7),
        e.VoucherUnused("v1", "o"),
        e.VoucherExpired("v1"),
        e.VoucherVoided("v1", "why"),
        e.VoucherClaimRefused("key", "unknown_code"),
    ],
)
def test_an_event_is_the_same_after_the_journal(event: e.VoucherEvent) -> None:
    assert event_of(*payload_of(event)) == event


def program(**voucher: Any) -> Terms:
    entry = {"id": "x", "kind": "percent", "value": 10} | voucher
    document = {
        "program": "cafe",
        "rewards": {"vouchers": [{k: v for k, v in entry.items() if v is not None}]},
    }
    return parse_program(document, "v").vouchers["x"]


def test_a_program_says_what_its_vouchers_are_good_for() -> None:
    terms = program(
        name="Ten off", conditions={"minimum_spend": 5, "categories": ["a"], "skus": ["b"], "stores": ["c"]},
        until="2026-01-05T13:00:00+01:00", gift=True, claim_days=9,
    )  # fmt: skip
    assert terms == replace(FULL, name="Ten off", until=NOON)
    assert program(valid_days=7).expires_at(NOON) == NOON + 7 * DAY
    assert program().expires_at(NOON) is None


@pytest.mark.parametrize(
    ("voucher", "field"),
    [
        ({"value": 101}, "value"),
        ({"value": None}, "value"),
        ({"kind": "bogo"}, "value"),
        ({"kind": "free"}, "kind"),
        ({"id": "no spaces"}, "id"),
        ({"valid_days": 1, "until": "2026-01-05T13:00:00Z"}, "until"),
        ({"until": "2026-01-05"}, "until"),
        ({"until": "soon"}, "until"),
        ({"claim_days": 2}, "claim_days"),
        ({"gift": "yes"}, "gift"),
        ({"colour": "red"}, "colour"),
        ({"conditions": {"weather": "fine"}}, "conditions.weather"),
    ],
)
def test_a_wrong_field_is_named(voucher: dict[str, Any], field: str) -> None:
    with pytest.raises(ProgramError) as wrong:
        program(**voucher)
    assert wrong.value.field == f"rewards.vouchers[0].{field}"


@pytest.mark.parametrize(
    ("reward", "field"),
    [
        ({"kind": "voucher_pack"}, "voucher"),
        ({"kind": "voucher_pack", "voucher": "y"}, "voucher"),
        ({"kind": "product", "voucher": "x"}, "voucher"),
        ({"kind": "voucher_pack", "voucher": "x", "count": 0}, "count"),
    ],
)
def test_a_pack_names_vouchers_of_the_program(reward: dict[str, Any], field: str) -> None:
    vouchers = [{"id": "x", "kind": "bogo"}]
    document = {
        "program": "cafe",
        "rewards": {"vouchers": vouchers, "catalogue": [{"id": "p", "points": 5, **reward}]},
    }
    with pytest.raises(ProgramError) as wrong:
        parse_program(document, "v")
    assert wrong.value.field == f"rewards.catalogue[0].{field}"
