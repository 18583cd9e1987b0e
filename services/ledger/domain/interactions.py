"""A member likes, reviews, checks in: recorded always, rewarded as often as the program says."""

from __future__ import annotations

from collections.abc import Iterator

from services.common.errors import Refusal
from services.ledger.domain.awards import Due, give, withheld
from services.ledger.domain.book import Book
from services.ledger.domain.checks import active_program, check_can_enrol, check_not_closed, check_time
from services.ledger.domain.commands import RecordInteraction
from services.ledger.domain.events import Decided, InteractionRecorded, MemberEnrolled
from services.ledger.domain.program import Program
from services.ledger.domain.social_rules import InteractionRule


def record_interaction(book: Book, command: RecordInteraction) -> Iterator[Decided]:
    """The interaction is a fact of its own; over a cap, or told of the same content again, it earns nothing."""
    program = active_program(book, command)
    at = command.occurred_at
    check_time(book, command, at)
    rules = program.social.interactions.get(command.kind)
    if rules is None:
        known = ", ".join(program.social.interactions) or "none"
        raise Refusal("kind_unknown", f"the program knows no interaction {command.kind!r}; it knows: {known}")
    rule = rule_of(program, command)
    if rule is not None and rule.once_per == "content" and not command.content:
        raise Refusal("content_missing", f"a {command.kind} counts once per content: say what it was about")
    member = book.members.get((command.program, command.member))
    if member is None:
        check_can_enrol(program, command)
    else:
        check_not_closed(member)

    if member is None:
        yield Decided(MemberEnrolled("first_activity"), command.member, at)
        member = book.members[command.program, command.member]
    fact = InteractionRecorded(
        command.interaction, command.kind, command.content, command.channel, command.store
    )
    yield Decided(fact, member.id, at)
    due = due_of(rule or rules[0], command)
    if rule is None:
        yield withheld(member, due, at, "not_running")
    else:
        yield from give(book, program, member, due, at)


def rule_of(program: Program, command: RecordInteraction) -> InteractionRule | None:
    """The first rule for its kind that is in season on its day, where the program is."""
    day = command.occurred_at.astimezone(program.time_zone).date()
    return next(
        (rule for rule in program.social.interactions.get(command.kind, ()) if rule.runs_on(day)), None
    )


def due_of(rule: InteractionRule, command: RecordInteraction) -> Due:
    """What an interaction earns by a rule, if nothing is in the way."""
    return Due(
        "interaction", command.interaction, rule.points, rule.campaign, counts_as(command.kind), rule.once_per,
        rule.caps, command.content,
    )  # fmt: skip


def counts_as(kind: str) -> str:
    """What the caps of a kind count."""
    return f"interaction/{kind}"
