"""Personal data: sealed in the book, gone when it is erased, and never in the way of points."""

from __future__ import annotations

import pytest

from services.common.errors import InvariantBroken, Undecodable
from services.ledger.domain.events import IdentifiersLinked, MemberErased, ProfileChanged
from services.ledger.profiles import TAGS_MAX, TEXT_CHARS_MAX, Sealer, content_of
from tallybook.activities.v1 import activities_pb2 as activities
from tests.unit import ledger_given as g
from tests.unit.ledger_given import Given

SEALER = Sealer("k" * 32)
ANN = {"birthday": "1990-02-28", "name": "Ann", "tags": ["vegan"]}


def test_a_profile_opens_with_its_own_key_and_no_other() -> None:
    one, two = SEALER.seal("grocer", ANN), SEALER.seal("grocer", ANN)
    assert SEALER.open("grocer", *one) == ANN
    assert one.sealed != two.sealed
    assert b"Ann" not in one.sealed + one.key
    for program, sealer, sealed, key in (
        ("grocer", SEALER, one.sealed, two.key),
        ("grocer", Sealer("x" * 32), *one),
        ("other", SEALER, *one),
        ("grocer", SEALER, one.sealed[:-1] + b"\0", one.key),
    ):
        with pytest.raises(InvariantBroken):
            sealer.open(program, sealed, key)


@pytest.mark.parametrize(
    "wrong",
    [
        {"birthday": "28.2.1990"},
        {"birthday": "1990-02-30"},
        {"name": "x" * (TEXT_CHARS_MAX + 1)},
        {"email": "a\x00b"},
        {"tags": ["t"] * (TAGS_MAX + 1)},
        {"tags": [""]},
    ],
)
def test_what_is_too_long_or_no_day_is_refused_before_it_is_sealed(wrong: dict[str, object]) -> None:
    with pytest.raises(Undecodable):
        content_of(activities.Profile(**wrong))  # type: ignore[arg-type]


def test_only_what_was_told_is_kept() -> None:
    assert content_of(activities.Profile(**ANN)) == ANN  # type: ignore[arg-type]
    assert content_of(activities.Profile()) == {}


def test_a_profile_is_replaced_as_a_whole() -> None:
    given = Given(g.enrol())
    assert given.when(g.profile(sealed=b"one")) == [ProfileChanged(b"one")]
    given.when(g.profile(sealed=b"two"))
    assert given.member().profile == b"two"


def test_an_enrolment_may_bring_a_profile_and_a_later_one_another() -> None:
    given = Given()
    command = g.enrol("ann", ("card", b"1"))
    command.profile = g.profile().profile
    assert [type(event).__name__ for event in given.when(command)] == [
        "MemberEnrolled",
        "IdentifiersLinked",
        "ProfileChanged",
    ]
    assert given.when(command) == [ProfileChanged(b"sealed")]


def test_erasure_forgets_identifiers_and_profile_and_leaves_the_points() -> None:
    given = Given(g.enrol("ann", ("phone", b"2"), ("card", b"1")), g.purchase(), g.profile(), g.hold(20))
    before = given.balance()
    assert given.when(g.erase()) == [MemberErased([("card", b"1"), ("phone", b"2")])]
    assert given.member().profile == b""
    assert given.book.identifiers == {}
    assert given.balance() == before
    given.when(g.capture())
    given.when(g.return_())
    # Another member may be known by them now.
    assert IdentifiersLinked([("phone", b"2")]) in given.when(g.enrol("bob", ("phone", b"2")))


def test_a_merge_keeps_the_survivors_profile_and_forgets_the_other() -> None:
    given = Given(
        g.enrol("ann"), g.enrol("bob"), g.profile("ann", sealed=b"a"), g.profile("bob", sealed=b"b")
    )
    given.when(g.merge())
    assert (given.member("ann").profile, given.member("bob").profile) == (b"a", b"")
