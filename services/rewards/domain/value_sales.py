"""Stored value that a redemption gives: promised with its capture, taken back before all of its price is given back."""

from __future__ import annotations

from services.common.errors import Refusal
from services.rewards.domain.award_events import MoneyPromised
from services.rewards.domain.awards import Award, AwardState, award_id
from services.rewards.domain.events import RedemptionCaptured, RedemptionEvent
from services.rewards.domain.redemption import Redemption

KIND = "stored_value"


def award_of(redemption: Redemption) -> str:
    """The id of what it gives; the same whoever the member is merged into."""
    return award_id(redemption.program, "", "redemption", redemption.id, 1, "money")


def follow(redemption: Redemption, event: RedemptionEvent) -> list[MoneyPromised]:
    """What comes behind `event`; `redemption` is as the event left it."""
    if redemption.kind != KIND or not isinstance(event, RedemptionCaptured):
        return []
    what = (redemption.value, redemption.currency)
    return [MoneyPromised(award_of(redemption), *what, "redemption", redemption.id)]


def to_take_back(award: Award | None) -> int:
    """Stored value, minor units, that the ledger is to take back before the price is given back.

    Raises:
        Refusal: the ledger has not said yet whether it gives it.
    """
    if award is None or award.state is AwardState.REFUSED:
        return 0
    if award.state is AwardState.PROMISED:
        raise Refusal(
            "stored_value_on_its_way",
            "the stored value that it gives is not there yet: try again in a moment",
        )
    return award.money
