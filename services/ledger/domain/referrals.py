"""Referrals: registered, qualified, both sides rewarded once.

All of a referral's state is its referee's, on the referee's chain: the purchase that qualifies it touches no other.
What either side is owed is given by a command of its own (`RewardReferral`), which concerns both chains.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime

from services.common.errors import Refusal
from services.ledger.domain import earning
from services.ledger.domain.awards import Due, give, withheld
from services.ledger.domain.book import CLOSED, Book, Member, Referral
from services.ledger.domain.checks import (
    active_program,
    check_can_enrol,
    check_not_closed,
    check_time,
    enrolled_member,
)
from services.ledger.domain.commands import Purchase, RecordReferral, RewardReferral
from services.ledger.domain.events import (
    Decided,
    MemberEnrolled,
    ReferralQualified,
    ReferralRegistered,
    ReferralRewarded,
    ReferralTaskDone,
)
from services.ledger.domain.program import Program
from services.ledger.domain.social_rules import ReferralRules

REFERRER, REFEREE = "referrer", "referee"
ANCESTORS_MAX = 32
"""How far up the book is asked who referred whom; a loop longer than this is not seen."""


def record_referral(book: Book, command: RecordReferral) -> Iterator[Decided]:
    """The referee joins on the referrer's word, or does a task."""
    program = active_program(book, command)
    rules = program.social.referrals
    if rules is None:
        raise Refusal(
            "referrals_not_offered", f"program {command.program!r} has no `referrals` in its document"
        )
    check_time(book, command, command.occurred_at)
    if command.step == "registered":
        return _register(book, command, program, rules)
    if command.step == "task":
        return _do_task(book, command, rules)
    raise Refusal("step_unknown", f"step {command.step!r} is neither `registered` nor `task`")


def _register(
    book: Book, command: RecordReferral, program: Program, rules: ReferralRules
) -> Iterator[Decided]:
    at, key = command.occurred_at, (command.program, command.member)
    if command.referrer == command.member:
        raise Refusal("self_referral", "nobody refers themselves: the referrer must be another member")
    member = book.members.get(key)
    if member is None:
        check_can_enrol(program, command)
    else:
        check_not_closed(member)
    referrer = book.members.get((command.program, command.referrer))
    if referrer is None or referrer.status == CLOSED:
        raise Refusal("referrer_unknown", "the referrer is not enrolled in the program: enrol them first")
    if key in book.referrals:
        raise Refusal(
            "already_referred", "the member was referred before, and only the first referral counts"
        )
    if member is not None and _has_bought_before(member, at):
        raise Refusal("referee_not_new", "the member has bought before: only who is new can be referred")
    if leads_to(book, command.program, command.referrer, command.member):
        raise Refusal("referral_loop", "the referrer was referred, perhaps by others between, by this member")

    if member is None:
        yield Decided(MemberEnrolled("first_activity"), command.member, at)
        member = book.members[key]
    yield Decided(ReferralRegistered(command.referral, command.referrer), member.id, at)
    # Purchases come by another topic: one made after this may have been booked before it.
    for fact in sorted(member.purchases.values(), key=lambda p: (p.occurred_at, p.position)):
        amount = earning.eligible_amount(program, fact.told.lines)
        yield from _qualify_by(book, rules, member, fact.id, fact.occurred_at, amount)


def _do_task(book: Book, command: RecordReferral, rules: ReferralRules) -> Iterator[Decided]:
    task, at = command.task, command.occurred_at
    if task not in rules.tasks:
        known = ", ".join(sorted(rules.tasks)) or "none"
        raise Refusal("task_unknown", f"the program's referrals know no task {task!r}; they know: {known}")
    member = _referee(book, command)
    referral = book.referrals.get((command.program, command.member))
    if referral is None:
        raise Refusal("referral_unknown", "nobody has referred the member: register the referral first")
    if task in referral.tasks:
        raise Refusal("task_repeated", f"the member has done {task!r} before, and it counts once")

    qualifies = referral.qualified_at is None and rules.qualified_by == "task" and task == rules.task
    qualifies = qualifies and referral.referrer not in member.absorbed
    waiting = referral.qualified_at is not None and task == rules.referee_task
    owed = [REFEREE] if waiting and rules.referee_points else []
    yield Decided(ReferralTaskDone(referral.id, task, owed), member.id, at)
    if qualifies:
        yield _qualified(referral, rules, "task", task, at)


def _referee(book: Book, command: RecordReferral) -> Member:
    """Whoever a task is told of must be a member. Raises Refusal("unknown_member")."""
    member = book.members.get((command.program, command.member))
    if member is None:
        return enrolled_member(book, command)
    check_not_closed(member)
    return member


def qualify_by_purchase(
    book: Book, program: Program, member: Member, purchase: Purchase, amount: int
) -> Iterator[Decided]:
    """A purchase that earns on `amount` minor units may be what a referral has waited for."""
    rules = program.social.referrals
    if rules is not None:
        yield from _qualify_by(book, rules, member, purchase.id, purchase.occurred_at, amount)


def _qualify_by(
    book: Book, rules: ReferralRules, member: Member, purchase: str, at: datetime, amount: int
) -> Iterator[Decided]:
    referral = book.referrals.get((member.program, member.id))
    if referral is None or referral.qualified_at is not None or rules.qualified_by != "purchase":
        return
    if referral.referrer in member.absorbed:
        # Both are one by now, and nobody refers themselves.
        return
    if at >= referral.registered_at and amount >= rules.minimum:
        yield _qualified(referral, rules, "purchase", purchase, at)


def _qualified(referral: Referral, rules: ReferralRules, by: str, cause: str, at: datetime) -> Decided:
    owed = [REFERRER] if rules.referrer_points else []
    if rules.referee_points and (not rules.referee_task or rules.referee_task in referral.tasks):
        owed.append(REFEREE)
    return Decided(ReferralQualified(referral.id, referral.referrer, by, cause, owed), referral.referee, at)


def reward_referral(book: Book, command: RewardReferral) -> Iterator[Decided]:
    """What is owed is given, or withheld for good; nothing when it was settled meanwhile."""
    program = active_program(book, command)
    referral = book.referrals.get((command.program, command.member))
    if referral is None or not referral.owed:
        return
    referrer = book.members.get((command.program, command.referrer))
    if referral.referrer not in (command.referrer, *(referrer.absorbed if referrer else ())):
        return
    referee, owed = book.members[command.program, command.member], list(referral.owed)

    sides = [side for side, _ in owed]
    yield Decided(ReferralRewarded(referral.id, referral.referrer, sides), referee.id, owed[-1][1])
    for side, at in owed:
        member = referee if side == REFEREE else referrer
        rules = program.social.referrals
        due = _due(rules, referral, side)
        if member is None:
            yield withheld(referee, due, at, "referrer_gone")
        elif member.status == CLOSED:
            yield withheld(member, due, at, "member_closed")
        elif rules is None or not due.points:
            yield withheld(member, due, at, "not_running")
        else:
            yield from give(book, program, member, due, at)


def _due(rules: ReferralRules | None, referral: Referral, side: str) -> Due:
    """What a side gets by the version in force; caps are the referrer's."""
    if rules is None:
        return Due(side, referral.id, 0, "", side, None, {})
    caps = rules.caps if side == REFERRER else {}
    return Due(side, referral.id, rules.points(side), rules.campaign, side, None, caps)


def _has_bought_before(member: Member, at: datetime) -> bool:
    return (member.bought_before is not None and member.bought_before < at) or any(
        fact.occurred_at < at for fact in member.purchases.values()
    )


def leads_to(book: Book, program: str, referrer: str, member: str) -> bool:
    """True when the referrer, or whoever referred the referrer, and so on up, is the member, by any of its ids.

    Who was merged has no referral any more: the survivor's leads on.
    """
    for _ in range(ANCESTORS_MAX + 1):
        referrer = book.heir(program, referrer)
        if referrer == member:
            return True
        above = book.referrals.get((program, referrer))
        if above is None:
            return False
        referrer = above.referrer
    return False


# --- what the events do to the book


def registered(book: Book, member: Member, event: ReferralRegistered, at: datetime) -> None:
    """A referral begins."""
    book.referrals[member.program, member.id] = Referral(event.referral, member.id, event.referrer, at)


def task_done(book: Book, member: Member, event: ReferralTaskDone, at: datetime) -> None:
    """A task is done, once."""
    referral = book.referrals[member.program, member.id]
    referral.tasks.append(event.task)
    referral.owed += [(side, at) for side in event.owed]


def qualified(book: Book, member: Member, event: ReferralQualified, at: datetime) -> None:
    """From here on somebody is owed something."""
    referral = book.referrals[member.program, member.id]
    referral.qualified_at = at
    referral.owed += [(side, at) for side in event.owed]


def rewarded(book: Book, member: Member, event: ReferralRewarded) -> None:
    """Nothing is owed to these sides any more."""
    referral = book.referrals[member.program, member.id]
    referral.owed = [(side, at) for side, at in referral.owed if side not in event.sides]
