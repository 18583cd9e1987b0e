"""What a wrong version gave, what was due, and what is posted for it; which activations a history has."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from services.ledger.domain.commands import ActivateProgram, Adjust, Command, MergeMembers
from services.ledger.store import Programs
from services.ops.correcting.plan import Account, Asked, Correction, Pair, corrections
from services.ops.program_history import Given, Row, activations_of
from services.ops.trying.run import Moved
from services.ops.trying.tiers import Facts
from services.ops.trying.world import Document, Standing, World
from tests.unit.ledger_given import CHAIN, DAY, NO_CAUSE, NOON, purchase, return_
from tests.unit.test_trying import ANN, BOB, CHAINS, TIERING, document, earning

RIGHT = document(adjustments={"reasons": ["correction"], "limit": 10_000})
WRONG = document(
    earning=earning(points_per_unit=10), adjustments={"reasons": ["correction"], "limit": 10_000}
)
PAIR = Pair(WRONG.version, RIGHT.version)
RICH = Account("active", 1_000_000)
LIMIT = 500


def activation(version: Document) -> Command:
    return ActivateProgram("grocer", "", CHAIN, NO_CAUSE, NOON, version.version, version.content)


def adjustment(points: int, number: int = 1, member: str = ANN) -> Command:
    id_ = PAIR.id_of(member, number - 1)
    return Adjust("grocer", member, CHAIN, NO_CAUSE, NOON, id_, points, "correction", "", "k")


def bought(id_: str, member: str = ANN, amount: int = 5_000) -> Command:
    return purchase(id_, amount, member=member)


def moved(*commands: Command, right: Document = RIGHT, pair: Pair = PAIR) -> list[Moved]:
    """Members as the book has them, and with the right document in force where the wrong one was."""
    programs, facts = Programs(), Facts()
    before = World("grocer", CHAINS, None, programs, facts)
    after = World("grocer", CHAINS, right, programs, facts, instead_of=pair.wrong, without=pair.ids)
    for command in commands:
        before.take(command)
        after.take(command)
    for world in (before, after):
        world.finish(CHAIN, NOON)
    there = dict(after.members())
    return [Moved(name, standing, there[name]) for name, standing in before.members()]


def earned(*commands: Command) -> dict[str, tuple[int, int]]:
    """By member, (given, due)."""
    return {each.member: (each.before.earned, each.after.earned) for each in moved(*commands)}


def test_only_what_was_decided_by_the_wrong_version_is_decided_anew() -> None:
    wrongly = (activation(WRONG), bought("p2"), bought("p3", BOB))
    assert earned(activation(RIGHT), bought("p1"), *wrongly, activation(RIGHT), bought("p4")) == {
        ANN: (600, 150),
        BOB: (500, 50),
    }


def test_what_came_back_is_owed_by_nobody() -> None:
    back = return_(of="p1", member=ANN)
    assert earned(activation(WRONG), bought("p1"), activation(RIGHT), back) == {ANN: (0, 0)}


def test_a_correction_counts_as_given_and_leaves_nothing_to_correct() -> None:
    story = (activation(WRONG), bought("p1"), activation(RIGHT))
    assert earned(*story) == {ANN: (500, 50)}
    assert earned(*story, adjustment(-450)) == {ANN: (50, 50)}


def test_what_comes_back_after_the_correction_is_given_back_by_the_next_one() -> None:
    story = (activation(WRONG), bought("p1"), activation(RIGHT), adjustment(-450))
    back = return_(of="p1", member=ANN)
    # The return takes the 500 that the wrong version gave; 450 of them had been taken by hand.
    assert earned(*story, back) == {ANN: (-450, 0)}
    assert earned(*story, back, adjustment(450, 2)) == {ANN: (0, 0)}


def test_a_correction_counts_also_when_another_document_is_the_right_one_now() -> None:
    story = (activation(WRONG), bought("p1"), activation(RIGHT), adjustment(-450))
    better = document(earning=earning(points_per_unit=2))
    found = moved(*story, right=better, pair=Pair(PAIR.wrong, better.version))
    assert [(each.before.earned, each.after.earned) for each in found] == [(50, 100)]


def test_points_that_a_program_forgives_are_not_given_back() -> None:
    said: dict[str, Any] = {"adjustments": {"reasons": ["correction"], "limit": 10_000}}
    said["returns"] = {"shortfall": "forgive"}
    wrong, right = document(earning=earning(points_per_unit=10), **said), document(**said)
    pair = Pair(wrong.version, right.version)
    taken = Adjust("grocer", ANN, CHAIN, NO_CAUSE, NOON, pair.id_of(ANN, 0), -450, "correction", "", "k")
    story = (activation(wrong), bought("p1"), activation(right), taken, return_(of="p1", member=ANN))
    found = moved(*story, right=right, pair=pair)
    # Of the 500 that come back only 50 are there; the other 450, which were taken by hand, are forgiven.
    assert [(each.before.earned, each.after.earned) for each in found] == [(0, 0)]


def test_who_was_merged_is_corrected_with_whom_they_are_one() -> None:
    story = (
        activation(WRONG),
        bought("p1"),
        bought("p2", BOB),
        activation(RIGHT),
        adjustment(-450, member=BOB),
    )
    one = MergeMembers("grocer", ANN, CHAIN, NO_CAUSE, NOON, BOB, CHAIN)
    assert earned(*story, one) == {ANN: (550, 100)}


def test_other_points_by_hand_are_given_in_both() -> None:
    other = Adjust("grocer", ANN, CHAIN, NO_CAUSE, NOON, "goodwill-1", 70, "correction", "", "k")
    assert earned(activation(WRONG), bought("p1"), activation(RIGHT), other) == {ANN: (570, 120)}


def test_points_multiplied_by_a_tier_that_was_reached_wrongly_are_due_without_it() -> None:
    tiering: dict[str, Any] = {
        **TIERING,
        "metric": "points",
        "tiers": [{"name": "member", "from": 0}, {"name": "silver", "from": 400}],
    }
    rates = {"tier_multipliers": {"silver": 2}}
    wrong = document(tiering, earning=earning(points_per_unit=10, **rates))
    right = document(tiering, earning=earning(**rates))
    pair = Pair(wrong.version, right.version)
    programs, facts = Programs(), Facts()
    later = purchase("p2", 5_000, member=ANN, at=NOON + DAY, now=NOON + DAY)
    worlds = [World("grocer", CHAINS, each, programs, facts, instead_of=pair.wrong) for each in (None, right)]
    for world in worlds:
        for command in (activation(right), activation(wrong), bought("p1"), later, activation(right)):
            world.take(command)
    standings = [dict(world.members())[ANN] for world in worlds]
    assert [(each.tier, each.earned) for each in standings] == [("silver", 1_500), ("member", 100)]


def planned(given: int, due: int, asked: Asked | None = None, account: Account = RICH) -> Correction | None:
    """The correction of a member whom `given` points were given, where `due` were due."""
    members = [Moved("ann", Standing("", given, given), Standing("", due, due))]
    found = corrections(PAIR, members, {"ann": asked} if asked else {}, {"ann": account}, LIMIT)
    return found[0] if found else None


def what(correction: Correction | None) -> tuple[str, int, int]:
    assert correction is not None
    return correction.state, correction.points, correction.left


def test_up_to_the_limit_at_once_over_it_by_a_second_person() -> None:
    assert what(planned(550, 50)) == ("at once", -500, 0)
    assert what(planned(50, 550)) == ("at once", 500, 0)
    assert what(planned(551, 50)) == ("second person", -501, 0)
    assert planned(50, 50) is None


def test_what_is_spent_is_left_and_what_there_is_goes() -> None:
    assert what(planned(500, 50, account=Account("active", 100))) == ("at once", -100, -350)
    assert what(planned(500, 50, account=Account("active", 0))) == ("spent", 0, -450)
    assert what(planned(50, 500, account=Account("active", 0))) == ("at once", 450, 0)


def test_a_closed_account_is_named_and_left_alone() -> None:
    assert what(planned(500, 50, account=Account("closed", 0))) == ("closed", 0, -450)


def test_what_waits_is_not_asked_for_again() -> None:
    waiting = Asked(1, ("correct/x", -950))
    assert what(planned(1_000, 50, waiting)) == ("waits", -950, 0)
    # A return came meanwhile.
    assert what(planned(500, 50, waiting)) == ("outdated", 0, -450)


def test_a_no_holds_for_just_these_points() -> None:
    declined = Asked(1, None, frozenset({-950}))
    assert what(planned(1_000, 50, declined)) == ("declined", 0, -950)
    assert what(planned(700, 50, declined)) == ("second person", -650, 0)


def test_an_id_follows_from_versions_member_and_earlier_attempts() -> None:
    first, again, next_ = planned(500, 50), planned(500, 50), planned(500, 50, Asked(1))
    assert first is not None and again is not None and next_ is not None
    assert first.adjustment == again.adjustment != next_.adjustment
    assert first.adjustment.startswith(f"correct/{WRONG.version}/{RIGHT.version}/")
    assert len({first.adjustment, PAIR.id_of("bob", 0), Pair("a", "b").id_of("ann", 0)}) == 3
    assert len(PAIR.id_of("m" * 200, 10**6)) <= 128


def test_the_largest_difference_comes_first() -> None:
    members = [
        Moved(name, Standing("", given, 0), Standing("", 0, 0))
        for name, given in (("a", 5), ("b", 70), ("c", -70))
    ]
    found = corrections(PAIR, members, {}, dict.fromkeys("abc", RICH), LIMIT)
    assert [each.member for each in found] == ["b", "c", "a"]


def test_an_activation_is_a_row_a_chain_and_ends_with_the_next() -> None:
    at = [NOON + timedelta(seconds=n) for n in range(6)]
    rows = [
        Row(0, at[0], "a", "k"),
        Row(1, at[1], "a", "k"),
        Row(0, at[2], "b", "l"),
        Row(1, at[3], "b", "l"),
    ]
    rows += [Row(1, at[4], "a", "k"), Row(0, at[5], "a", "k")]
    found = activations_of(reversed(rows))
    assert [(each.version, each.by, each.since, each.until) for each in found] == [
        ("a", "k", at[0], at[2]), ("b", "l", at[2], at[4]), ("a", "k", at[4], None),
    ]  # fmt: skip
    assert all(each.chains == {0, 1} for each in found)


def test_points_a_purchase_are_rounded_to_a_tenth() -> None:
    assert [Given(3, 100).each, Given(2, 25).each, Given(1, 1_234).each, Given(0, 5).each] == [
        "33.3", "12.5", "1,234.0", "-",
    ]  # fmt: skip
