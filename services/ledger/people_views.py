"""What can be read of who a member is: the survivor of a merge, the profile, and what a statement says of both."""

from __future__ import annotations

from typing import Any

from sqlalchemy import and_, select
from sqlalchemy.ext.asyncio import AsyncConnection

from services.common.chain import chain_of
from services.common.errors import Refusal
from services.ledger.domain import events as e
from services.ledger.domain.book import POINTS
from services.ledger.tables import member_keys, members, profiles

PeopleEvent = (
    e.MembersMerged | e.MemberAbsorbed | e.LotMoved | e.HoldMoved | e.ProfileChanged | e.MemberErased
)
TYPES = ("MembersMerged", "MemberAbsorbed", "LotMoved", "HoldMoved", "ProfileChanged", "MemberErased")
"""Those of them that stand in statements."""


async def heir(connection: AsyncConnection, chains: int, program: str, member_id: str) -> str:
    """The member who has everything of `member_id` now: whoever it was merged into, or itself."""
    while True:
        query = select(members.c.merged_into).where(
            members.c.chain == chain_of(member_id, chains),
            members.c.program == program,
            members.c.member == member_id,
        )
        into = (await connection.execute(query)).scalar_one_or_none()
        if not into:
            return member_id
        member_id = into


async def profile(
    connection: AsyncConnection, chain: int, program: str, member_id: str
) -> tuple[bytes, bytes]:
    """(sealed profile, its key) of a member. Raises Refusal("profile_unknown")."""
    key = and_(
        member_keys.c.chain == profiles.c.chain,
        member_keys.c.program == profiles.c.program,
        member_keys.c.member == profiles.c.member,
    )
    query = (
        select(profiles.c.sealed, member_keys.c.key)
        .join(member_keys, key)
        .where(profiles.c.chain == chain, profiles.c.program == program, profiles.c.member == member_id)
    )
    row = (await connection.execute(query)).first()
    if row is None:
        raise Refusal(
            "profile_unknown", f"nothing is known of member {member_id!r}: no profile, or it was erased"
        )
    return row.sealed, row.key


def describe(event: PeopleEvent) -> tuple[int, str, dict[str, Any]]:
    """As statement.describe, of a merge and of personal data."""
    match event:
        case e.ProfileChanged():
            return 0, "profile changed", {}
        case e.MemberErased():
            return 0, "profile and identifiers erased", {}
        case e.MembersMerged():
            text = f"member {event.absorbed} merged into this one"
            text += f", with a debt of {event.debt} points" if event.debt else ""
            return -event.debt, text, {"absorbed": event.absorbed, "debt": event.debt}
        case e.MemberAbsorbed():
            points = sum(amount for _, amount in event.allocations) - event.debt
            return -points, f"merged into {event.into}", {"into": event.into}
        case e.LotMoved():
            expires_at = event.expires_at.isoformat() if event.expires_at else None
            if event.asset != POINTS:
                details = {"from": event.purchase, "expires_at": expires_at}
                return 0, f"{event.points} {event.asset} came over", details
            details = {"purchase": event.purchase, "expires_at": expires_at}
            of = f" of purchase {event.purchase}" if event.purchase else ""
            return event.points, f"{event.points} points{of} came over", details
        case e.HoldMoved():
            points, coins = (
                sum(amount for _, amount in parts) for parts in (event.allocations, event.money_allocations)
            )
            details = {"hold": event.hold, "order": event.order}
            held = [f"{points} points"] if points or not coins else []
            held += [f"{coins} {event.money_currency} minor units"] if coins else []
            what = f"hold of {' and '.join(held)}" if event.state == "open" else "what was spent"
            return 0, f"{what} for order {event.order} came over", details
