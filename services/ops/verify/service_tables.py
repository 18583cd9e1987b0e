"""The small tables of a service: heads, offsets (L5), relay; and rows that stand where no chain is."""

from __future__ import annotations

from services.ops.verify.findings import Findings
from services.ops.verify.rewards_tables import check_rewards_tables
from services.ops.verify.snapshot import Connection

MECHANISM = (
    ("journal", "chain"), ("inbox", "chain"), ("inbox", "journal_chain"), ("consumer_offsets", "chain"),
    ("stream_positions", "chain"), ("relay_positions", "chain"),
)  # fmt: skip
CHAINED = {
    "ledger": (
        *MECHANISM, ("postings", "chain"), ("members", "chain"), ("accounts", "chain"), ("lots", "chain"),
        ("holds", "chain"), ("settlements", "chain"), ("top_ups", "chain"), ("identifiers", "chain"),
        ("parked", "chain"), ("profiles", "chain"), ("member_keys", "chain"),
        ("programs", "chain"), ("program_versions", "chain"),
    ),
    "tiering": (
        *MECHANISM, ("segments", "chain"), ("tags", "chain"), ("segment_runs", "chain"), ("tier_rankings", "chain"),
        ("absorbed_members", "chain"), ("merges", "chain"),
    ),
    "rewards": (
        *MECHANISM, ("member_segments", "chain"), ("redemptions", "chain"), ("vouchers", "chain"),
        ("reward_stock", "chain"), ("member_money", "chain"), ("voucher_codes", "chain"), ("member_grants", "chain"),
        ("grant_budgets", "chain"), ("awards", "chain"), ("draw_players", "chain"), ("draw_turns", "chain"),
        ("draw_counters", "chain"), ("member_birthdays", "chain"), ("heirs", "chain"),
    ),
}  # fmt: skip
"""(table, column) of each service whose value must be one of the installation's chains."""

HEADS = "SELECT chain, position FROM chain_heads"
RELAY = "SELECT chain, position FROM relay_positions"
OFFSETS = """
SELECT chain, consumer, topic, first_offset, next_offset, recorded, rejected, duplicates, dead_lettered, without_record
FROM consumer_offsets ORDER BY topic, chain
"""
ENDS = ("recorded", "rejected", "duplicates", "dead_lettered", "without_record")
"""In what an offset ends. `without_record`: a mark of a producer's transaction, or what one that was given up left."""
NOBODYS_MAX = 100
NOBODYS = """
SELECT i.chain, i.program, i.hash, i.member FROM identifiers AS i
LEFT JOIN members AS m ON m.program = i.program AND m.member = i.member WHERE m.member IS NULL LIMIT $1
"""


KEYS = """
-- A profile has its key, and a key that is not to be any more is gone.
SELECT chain, program, member, key FROM profiles FULL JOIN member_keys USING (chain, program, member)
WHERE sealed IS NULL OR key IS NULL LIMIT $1
"""
IN_TRANSIT = """
-- What goes from one member to another leaves one chain and arrives on the other, in one transaction.
SELECT program, asset, sum(CASE credit WHEN 'in_transit' THEN amount ELSE -amount END) AS points
FROM postings WHERE debit = 'in_transit' OR credit = 'in_transit'
GROUP BY program, asset HAVING sum(CASE credit WHEN 'in_transit' THEN amount ELSE -amount END) <> 0
"""


async def check_service(connection: Connection, service: str, chains: int, found: Findings) -> None:
    """What concerns a service's whole database."""
    heads = {row["chain"]: row["position"] for row in await connection.fetch(HEADS)}
    if sorted(heads) != list(range(chains)):
        found.add("chain", "chain_heads", f"heads {sorted(heads)} for an installation of {chains} chains")
    await _check_relay(connection, heads, found)
    await _check_offsets(connection, found)
    for table, column in CHAINED[service]:
        strays = await connection.fetchval(
            f"SELECT count(*) FROM {table} WHERE {column} < 0 OR {column} >= $1",  # noqa: S608 - constants
            chains,
        )
        if strays:
            found.add("chain", table, f"{strays} rows have a {column} that does not exist")
    if service == "rewards":
        await check_rewards_tables(connection, chains, found)
    if service == "ledger":
        for row in await connection.fetch(KEYS, NOBODYS_MAX):
            where = f"member_keys {row['chain']} {row['program']} {row['member']}"
            what = "a key of no profile" if row["key"] else "the key of the profile is missing"
            found.add("tables", where, what)
        for row in await connection.fetch(IN_TRANSIT):
            what = f"{row['points']} {row['asset']} of {row['program']} left one chain and did not arrive on another"
            found.add("L1", "postings in_transit", what)
        for row in await connection.fetch(NOBODYS, NOBODYS_MAX):
            where = f"identifiers {row['chain']} {row['program']} {row['hash'].hex()}"
            found.add("tables", where, f"belongs to {row['member']}, who is no member")


async def _check_relay(connection: Connection, heads: dict[int, int], found: Findings) -> None:
    relayed = {row["chain"]: row["position"] for row in await connection.fetch(RELAY)}
    for chain, head in sorted(heads.items()):
        found.looked("L6")
        where = f"relay_positions {chain}"
        if chain not in relayed:
            found.add("L6", where, "is missing: nothing of this chain will be published")
        elif not 0 <= relayed[chain] <= head:
            found.add("L6", where, f"position is {relayed[chain]}, the journal ends at {head}")


async def _check_offsets(connection: Connection, found: Findings) -> None:
    for row in await connection.fetch(OFFSETS):
        found.looked("L5")
        taken = row["next_offset"] - row["first_offset"]
        ended = {name: row[name] for name in ENDS}
        if taken != sum(ended.values()) or min(taken, *ended.values()) < 0:
            words = " + ".join(f"{count} {name}" for name, count in ended.items())
            where = f"consumer_offsets {row['chain']} {row['consumer']} {row['topic']}"
            found.add("L5", where, f"{taken} offsets were read and {words} is {sum(ended.values())}")
