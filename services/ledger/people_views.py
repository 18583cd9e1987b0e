"""What can be read of who a member is: the survivor of a merge, and the profile."""

from __future__ import annotations

from sqlalchemy import and_, select
from sqlalchemy.ext.asyncio import AsyncConnection

from services.common.chain import chain_of
from services.common.errors import Refusal
from services.ledger.tables import member_keys, members, profiles


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
