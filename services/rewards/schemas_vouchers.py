"""How the HTTP API shows a voucher."""

from __future__ import annotations

from datetime import datetime

from pydantic import BaseModel

from services.rewards.domain.vouchers import Voucher


class VoucherView(BaseModel):
    """A voucher as it now stands. Amounts are minor units of the program's currency."""

    voucher: str
    reward: str
    """The program's entry in `rewards.vouchers`."""
    name: str
    kind: str
    value: int
    minimum_spend: int
    categories: list[str]
    skus: list[str]
    stores: list[str]
    gift: bool
    state: str
    source: str
    source_id: str
    issued_at: datetime
    changed_at: datetime
    expires_at: datetime | None
    gift_until: datetime | None
    """Of a gift that nobody has claimed yet: then it goes back."""
    giver: str | None
    claimed_by: str | None
    order: str | None
    discount: int | None
    """What it took off the order that it was used for."""


def voucher_view(voucher: Voucher) -> VoucherView:
    """A voucher as the API shows it."""
    terms = voucher.terms
    return VoucherView(
        voucher=voucher.id,
        reward=terms.id,
        name=terms.name,
        kind=terms.kind,
        value=terms.value,
        minimum_spend=terms.minimum_spend,
        categories=list(terms.categories),
        skus=list(terms.skus),
        stores=list(terms.stores),
        gift=terms.gift,
        state=str(voucher.state),
        source=voucher.source,
        source_id=voucher.source_id,
        issued_at=voucher.issued_at,
        changed_at=voucher.changed_at,
        expires_at=voucher.expires_at,
        gift_until=voucher.gift_until,
        giver=voucher.giver,
        claimed_by=voucher.claimed_by,
        order=voucher.order,
        discount=voucher.discount,
    )
