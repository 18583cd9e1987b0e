"""The reports of what is owed, and of what will never be used, as JSON has them; HTTP and `tally liability` alike."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel, Field

from services.ledger.domain.breakage import Breakage, decimal
from services.ledger.liability import Liability

PLACES = 6
"""Decimals of a factor or a share, halves away from zero."""


class LiabilityLine(BaseModel):
    asset: str = Field(description="points, or currency and bucket, such as USD.bonus: minor units then.")
    store: str | None = Field(description="Null where stores are not told apart; empty: of no store.")
    month: str | None = Field(description="As 2026-01; null for one line over all months shown.")
    opening: int
    movements: dict[str, int] = Field(
        description="issued, paid_in, given, rewarded, redeemed, refunded, expired, forgiven, reversed, paid_out, "
        "adjusted, transferred: signed, so that opening and all of them add up to closing."
    )
    closing: int
    debt: int = Field(description="What members owe at the end; closing and debt together are in lots.")


class LiabilityReconciliation(BaseModel):
    asset: str
    report: int = Field(description="The sum of the last closings.")
    postings: int
    accounts: int
    lots: int = Field(description="What is left in lots; less the debt it is the sum of the accounts.")
    debt: int
    held: int = Field(description="Of what lots have, set aside by holds at this moment.")
    pending: int = Field(description="Of what lots have, not to be spent yet at this moment.")
    in_transit: int = Field(description="Left one member and has not reached another: 0.")
    wrong_accounts: int
    first_wrong: list[str] = Field(description="Up to five accounts whose balance is not what was posted.")
    same: bool


class LiabilityAnswer(BaseModel):
    program: str
    time_zone: str
    time: str = Field(description="What decides the month: recorded or business time.")
    lines: list[LiabilityLine]
    reconciliation: list[LiabilityReconciliation]
    same: bool = Field(description="True when every asset reconciles.")


class BreakageCohort(BaseModel):
    month: str
    age: int = Field(description="Whole months behind the month of earning.")
    amount: int = Field(description="Earned, less what was reversed.")
    redeemed: list[int] = Field(description="Spent in all, by age.")
    expired: int
    left: int
    breakage: str | None = Field(description="Expected share that is never spent, as a decimal.")
    unused: int = Field(description="Of what is left, expected never to be spent.")


class AssetBreakage(BaseModel):
    asset: str
    factors: list[str] = Field(description="From each age to the next, as decimals.")
    breakage: str | None
    unused: int
    cohorts: list[BreakageCohort]


class BreakageAnswer(BaseModel):
    program: str
    assets: list[AssetBreakage]


def liability_answer(report: Liability) -> dict[str, Any]:
    """The report as LiabilityAnswer says."""
    return {
        "program": report.program,
        "time_zone": report.zone,
        "time": report.time,
        "lines": [
            {
                "asset": line.key.asset,
                "store": line.key.store,
                "month": line.key.month and f"{line.key.month:%Y-%m}",
                "opening": line.opening,
                "movements": dict(line.movements),
                "closing": line.closing,
                "debt": line.debt,
            }
            for line in report.lines
        ],
        "reconciliation": [
            {
                "asset": each.asset,
                "report": each.report,
                "postings": each.postings,
                "accounts": each.accounts,
                "lots": each.lots,
                "debt": each.debt,
                "held": each.held,
                "pending": each.pending,
                "in_transit": each.in_transit,
                "wrong_accounts": each.wrong,
                "first_wrong": list(each.first_wrong),
                "same": each.same,
            }
            for each in report.reconciled
        ],
        "same": report.same,
    }


def breakage_answer(program: str, assets: Mapping[str, Breakage]) -> dict[str, Any]:
    """The chain ladders as BreakageAnswer says."""
    return {
        "program": program,
        "assets": [
            {
                "asset": asset,
                "factors": [decimal(factor, PLACES) for factor in found.factors],
                "breakage": None if found.rate is None else decimal(found.rate, PLACES),
                "unused": found.unused,
                "cohorts": [
                    {
                        "month": f"{each.cohort.month:%Y-%m}",
                        "age": each.cohort.age,
                        "amount": each.cohort.amount,
                        "redeemed": list(each.cohort.redeemed),
                        "expired": each.cohort.expired,
                        "left": each.cohort.left,
                        "breakage": None if each.breakage is None else decimal(each.breakage, PLACES),
                        "unused": each.unused,
                    }
                    for each in found.expected
                ],
            }
            for asset, found in assets.items()
        ],
    }
