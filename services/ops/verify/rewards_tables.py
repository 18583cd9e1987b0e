"""What rewards counts and holds for all members, against the redemptions that it is counted and held for."""

from __future__ import annotations

import zlib

from services.ops.verify.findings import Findings
from services.ops.verify.snapshot import Connection

FOUND_MAX = 100
STOCK = """
-- What is counted as taken is what redemptions take.
SELECT program, reward, coalesce(s.taken, 0) AS taken, coalesce(r.takes, 0) AS takes
FROM (SELECT program, reward, sum(taken) AS taken FROM reward_stock GROUP BY program, reward) AS s
FULL JOIN (
    SELECT program, reward, count(*) AS takes FROM redemptions WHERE takes_stock GROUP BY program, reward
) AS r USING (program, reward)
WHERE coalesce(s.taken, 0) <> coalesce(r.takes, 0) ORDER BY program, reward LIMIT $1
"""
HELD = """
-- A voucher is held exactly while a redemption of its member that is under way pays with it.
SELECT coalesce(v.chain, r.chain) AS chain, coalesce(v.program, r.program) AS program,
       coalesce(v.member, r.member) AS member, coalesce(v.voucher, r.voucher) AS voucher, v.state, r.redemption
FROM vouchers AS v
FULL JOIN (
    SELECT chain, program, member, redemption, split_part(paying, ':', 1) AS voucher
    FROM redemptions CROSS JOIN LATERAL unnest(string_to_array(vouchers, ',')) AS paying
    WHERE state IN ('reserving', 'reserved', 'capturing', 'cancelling')
) AS r ON r.chain = v.chain AND r.program = v.program AND r.member = v.member AND r.voucher = v.voucher
WHERE (v.state = 'held') IS DISTINCT FROM (r.redemption IS NOT NULL) LIMIT $1
"""


HOMES = "SELECT chain, program, reward FROM reward_stock"


async def check_rewards_tables(connection: Connection, chains: int, found: Findings) -> None:
    """Stock and vouchers stand where the redemptions put them."""
    found.looked("tables")
    for chain, program, reward in await connection.fetch(HOMES):
        home = zlib.crc32(f"{program}/{reward}".encode()) % chains
        if chain != home:
            what = f"is kept on chain {chain}, where nobody looks: it belongs on {home}"
            found.add("tables", f"reward_stock {program} {reward}", what)
    for row in await connection.fetch(STOCK, FOUND_MAX):
        where = f"reward_stock {row['program']} {row['reward']}"
        found.add("tables", where, f"taken is {row['taken']}, and redemptions take {row['takes']}")
    for row in await connection.fetch(HELD, FOUND_MAX):
        where = f"vouchers {row['chain']} {row['program']} {row['member']} {row['voucher']}"
        paid = f"redemption {row['redemption']} is" if row["redemption"] else "no redemption under way is"
        found.add("tables", where, f"is {row['state'] or 'not there'}, and {paid} paid with it")
