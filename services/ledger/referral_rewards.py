"""Referrals that somebody is still owed a reward for, as commands that settle them.

A purchase that qualifies a referral is on the referee's chain, and must not wait for the referrer's. So it leaves a
note in `referrals`, and who finds the note sends the command. The note goes in the transaction that gives the reward,
under the lock of its chain: a reward is given once, however often and by however many it was asked for.
"""

from __future__ import annotations

from datetime import datetime

from services.common.chain import chain_of
from services.common.db import Transaction
from services.ledger.domain.commands import Cause, RewardReferral

AT_ONCE_MAX = 500

FIND_OWED = """
SELECT chain, program, member, referral, referrer FROM referrals WHERE owed_sides <> '{}'
ORDER BY chain, program, member LIMIT $1
"""
COUNT_OWED = "SELECT count(*) FROM referrals WHERE owed_sides <> '{}'"


async def owed(session: Transaction, chains: int, now: datetime) -> list[RewardReferral]:
    """The commands that give what is owed; at most `AT_ONCE_MAX`, the next look finds the rest."""
    return [
        RewardReferral(
            row["program"], row["member"], row["chain"], Cause("tallybook/referrals", row["referral"]), now,
            row["referrer"], chain_of(row["referrer"], chains),
        )
        for row in await session.fetch(FIND_OWED, AT_ONCE_MAX)
    ]  # fmt: skip


async def count_owed(session: Transaction) -> int:
    """How many referrals wait for a reward."""
    return int(await session.fetchval(COUNT_OWED))
