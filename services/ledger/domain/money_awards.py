"""Stored value as a reward: given by the rewards service, and taken back when what it was given for is refunded."""

from __future__ import annotations

from collections.abc import Iterator

from services.common.errors import Refusal
from services.common.months import shift_months
from services.ledger.domain import money
from services.ledger.domain.book import Book
from services.ledger.domain.checks import active_program, enrolled_member, present
from services.ledger.domain.commands import AwardMoney, TakeBackMoney
from services.ledger.domain.events import Decided, MoneyCredited, MoneyTakenBack
from services.ledger.domain.ladders import MONEY_MAX
from services.ledger.domain.lots import take
from services.ledger.domain.money import BONUS, asset
from services.ledger.domain.stored_value import check_currency, insufficient, rules_of


def award_money(book: Book, command: AwardMoney) -> Iterator[Decided]:
    """A reward is bonus: nobody has paid it in, so no top-up's reversal hands it out.

    It is not held to `balance.max`: the member may have paid for it with points that are spent by now.
    """
    program = active_program(book, command)
    rules = rules_of(program)
    _check(program.currency, command)
    member = enrolled_member(book, command)

    now = present(book, command, program)
    months = rules.bonus_months
    expires_at = None if months is None else shift_months(now, months, program.time_zone)
    credited = MoneyCredited(
        command.award, asset(program.currency, BONUS), command.amount, "reward", expires_at
    )
    yield Decided(credited, member.id, now)


def take_back_money(book: Book, command: TakeBackMoney) -> Iterator[Decided]:
    """All of it or nothing: what was spent, is held or ran out is not there any more, and money knows no debt."""
    program = active_program(book, command)
    _check(program.currency, command)
    member = enrolled_member(book, command)
    now = present(book, command, program)
    bonus = asset(program.currency, BONUS)
    # A top-up may have the same id, and what it gave is no reward.
    top_up = member.top_ups.get(command.award)
    of_top_up = 0 if top_up is None else top_up.bonus_lot
    lots = [
        lot
        for lot in money.free_lots(member, bonus, now)
        if lot.purchase == command.award and lot.id != of_top_up
    ]
    there = sum(lot.free for lot in lots)
    if command.amount > there:
        raise insufficient(command.amount, program.currency, there)

    taken = MoneyTakenBack(command.award, bonus, take(lots, command.amount)[0])
    yield Decided(taken, member.id, now)


def _check(currency: str, command: AwardMoney | TakeBackMoney) -> None:
    check_currency(command.currency, currency)
    if not 1 <= command.amount <= MONEY_MAX:
        raise Refusal(
            "amount_out_of_range", f"amount {command.amount} is not from 1 to {MONEY_MAX} minor units"
        )
