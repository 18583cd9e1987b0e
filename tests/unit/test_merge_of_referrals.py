"""Nobody comes by oneself, by whichever id, and by whomever between: lines of referrals lead through merged members."""

from __future__ import annotations

import pytest

from services.common.errors import Refusal
from services.ledger.domain.events import ReferralMoved
from tests.unit import ledger_given as g
from tests.unit import social_given as s
from tests.unit.ledger_given import Given


def given(*names: str) -> Given:
    return s.given(*(g.enrol(name) for name in names))


def refused(book: Given, referrer: str, referee: str) -> str:
    with pytest.raises(Refusal) as refusal:
        book.when(s.referral(referrer, referee))
    return refusal.value.code


def test_who_was_brought_by_a_merged_member_can_not_bring_its_survivor() -> None:
    """Ann brings bob, who is cid: cid came by ann."""
    book = given("ann", "cid")
    book.when(s.referral("ann", "bob"))
    book.when(g.merge("cid", "bob"))
    assert refused(book, "cid", "ann") == "referral_loop"


def test_a_merged_referrer_leads_on_by_its_survivors_referrer() -> None:
    """Bob brings dan, bob is cid, cid came by ann: so dan came by ann."""
    book = given("ann", "bob", "cid")
    book.when(s.referral("ann", "cid"))
    book.when(s.referral("bob", "dan"))
    book.when(g.merge("cid", "bob"))
    assert refused(book, "dan", "ann") == "referral_loop"
    book.when(g.enrol("eve"))
    book.when(s.referral("dan", "eve"))


def test_a_line_leads_through_merges_of_merges() -> None:
    book = given("ann", "bob", "cid", "eve")
    book.when(s.referral("ann", "eve"))
    book.when(s.referral("bob", "dan"))
    book.when(g.merge("cid", "bob"))
    book.when(g.merge("eve", "cid"))
    assert refused(book, "dan", "ann") == "referral_loop"


def test_who_was_merged_away_from_a_line_does_not_lead_on_by_its_own() -> None:
    """Bob came by ann, but of bob and cid cid's referral counts: cid came by eve."""
    book = given("ann", "eve", "fay")
    book.when(s.referral("ann", "bob"))
    book.when(s.referral("eve", "cid"))
    book.when(g.merge("cid", "bob"))
    book.when(s.referral("cid", "ann"))
    assert refused(book, "cid", "eve") == "referral_loop"


def test_a_referral_that_would_close_a_circle_does_not_come_over() -> None:
    """Ann brings bob, cid brings ann: were bob's referral cid's, both would have come by each other."""
    book = given("ann", "cid")
    book.when(s.referral("ann", "bob"))
    book.when(s.referral("cid", "ann"))
    events = book.when(g.merge("cid", "bob"))
    assert not [event for event in events if isinstance(event, ReferralMoved)]
    assert ("grocer", "cid") not in book.book.referrals


def test_a_circle_that_a_merge_closes_has_an_end() -> None:
    """Each referral was right when it was made, and stays; whoever asks for the line goes round it once."""
    book = given("ann", "bob", "cid", "dan")
    book.when(s.referral("ann", "cid"))
    book.when(s.referral("bob", "ann"))
    book.when(g.merge("cid", "bob"))
    book.when(s.referral("ann", "dan"))
    book.when(g.purchase("p1", 5_000, member="cid"))
    assert book.book.referrals["grocer", "cid"].qualified_at is not None
