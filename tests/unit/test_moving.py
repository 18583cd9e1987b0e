"""What goes over with a merge: it is whole after the journal, and counts of two members make one."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from services.ops.verify.draws import DrawsJournal
from services.ops.verify.findings import Findings
from services.rewards.domain.awards import Award, AwardState
from services.rewards.domain.draws import Player
from services.rewards.domain.grants import Progress
from services.rewards.domain.moving import (
    AwardMoved,
    GrantMoved,
    HoldingsLeft,
    PlayerMoved,
    RedemptionMoved,
    VoucherMoved,
    both,
)
from services.rewards.domain.payment import BasketLine, PayingVoucher
from services.rewards.domain.redemption import Redemption, Refund, RefundState, State
from services.rewards.domain.voucher_terms import Pack, Terms
from services.rewards.domain.vouchers import Voucher, VoucherState
from services.rewards.granting import Slot, after
from services.rewards.wire import event_of, payload_of

NOON = datetime(2026, 1, 5, 12, tzinfo=UTC)
DRINK = Terms("drink", "A drink", "product", skus=("TEA",), valid_days=7, gift=True, claim_days=3)
VOUCHER = Voucher(
    "v1", "", "", DRINK, VoucherState.GIFTED, "grant", "welcome/ever", NOON, NOON, NOON, 0, "cid", "dan",
    b"c" * 32, NOON, "o1", 0,
)  # fmt: skip
REDEMPTION = Redemption(
    "r1", "", "", "kit", "Kit", "product", 700, "o1", 300, 600, "v1", State.REFUNDING, NOON, NOON, 0, NOON,
    "code", "detail", Pack(DRINK, 2), "USD", 500, "s1", (PayingVoucher("v1", 5), PayingVoucher("v2", 0)), 90, True,
    "wheel", 2, 30, (BasketLine(1, "A", "c", 2, 600),), 200, 100,
    (Refund("k1", 1, 1, 2, 3, ((1, 1),), True, RefundState.REFUSED, "code", "detail", 4),
     Refund("k2", 2, 1, 2, 3, (), False)),
)  # fmt: skip
AWARD = Award("a1", "", "", 0, "draw", "t1", AwardState.REFUSED, NOON, NOON, 0, "closed", "it was", 50, "USD")
BARE = replace(
    VOUCHER,
    expires_at=None,
    giver=None,
    claimed_by=None,
    code_sha256=None,
    gift_until=None,
    order=None,
    discount=None,
)


@pytest.mark.parametrize(
    "event",
    [
        HoldingsLeft("ann", ("v1",), ("r1",), ("a1",), ("wheel",), (("welcome", "ever"),)),
        VoucherMoved("bob", replace(VOUCHER, claimed_by=None)),
        VoucherMoved("bob", BARE),
        RedemptionMoved("bob", REDEMPTION),
        RedemptionMoved("bob", replace(REDEMPTION, expires_at=None, code=None, detail=None, pack=None, lines=(),
                                       refunds=(), vouchers=())),
        AwardMoved("bob", AWARD),
        AwardMoved("bob", replace(AWARD, points=10, money=0, currency="", code=None, detail=None)),
        GrantMoved("bob", "welcome", "ever", True, Progress(2, 900)),
        PlayerMoved("bob", "wheel", Player(2, 3, 4, "2026-01-05", 2, 1)),
    ],
)  # fmt: skip
def test_what_moves_is_the_same_after_the_journal(event: Any) -> None:
    assert event_of(*payload_of(event)) == event


def test_two_players_make_one() -> None:
    ann, bob = Player(1, 2, 10, "2026-01-05", 3, 1), Player(2, 1, 5, "2026-01-05", 1, 1)
    assert both(ann, bob) == both(bob, ann) == Player(3, 2, 15, "2026-01-05", 4, 2)
    yesterday = replace(bob, day="2026-01-04")
    assert both(ann, yesterday) == both(yesterday, ann) == Player(3, 2, 15, "2026-01-05", 3, 1)
    assert both(Player(), bob) == bob


def test_what_two_had_of_a_grant_adds_up() -> None:
    came = GrantMoved("bob", "g", "ever", False, Progress(2, 900))
    assert after(Slot(), came) == Slot(False, Progress(2, 900))
    assert after(Slot(False, Progress(1, 100)), came) == Slot(False, Progress(3, 1_000))
    assert after(Slot(True), came).settled
    assert after(Slot(), replace(came, settled=True)).settled


def read(*events: Any) -> list[str]:
    """What the verifier says of bob's chain with these rows."""
    found = Findings("rewards", 0)
    journal = DrawsJournal(0, found)
    for position, event in enumerate(events, 1):
        type_, payload = payload_of(event)
        journal.row(
            {"position": position, "type": type_, "payload": payload, "program": "p", "member": "bob"}
        )
    return [finding.what for finding in found.report.findings]


def test_the_verifier_finds_what_left_and_was_not_there() -> None:
    left = HoldingsLeft("ann", (), (), ("a1",), ("wheel",), ())
    came = (AwardMoved("zoe", AWARD), PlayerMoved("zoe", "wheel", Player(1)))
    assert read(*came, left) == []
    assert read(left) == [
        "a1 of awards left, and was not there",
        "wheel of draw_players left, and was not there",
    ]
    assert len(read(*came, left, left)) == 2
