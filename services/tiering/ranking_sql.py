"""The SQL that ranks members: what each holds of a metric, and who comes first. Table names follow the search_path.

A metric is given by its parts: $2 their names, $3 the moments after which their windows begin, $4 how many times each
is taken, all over $5. What occurred from $6 on does not count; nor do rows of the ledger behind $7 (by chain).
"""

from __future__ import annotations

from services.tiering.population import OPEN

_HELD = f"""
-- Returns lie on the day of their purchase: a moment of which nothing is left is no moment at which anything was
-- reached.
WITH moments AS (
    SELECT e.chain, e.member, e.occurred_at, sum(e.amount::numeric * p.times) AS amount
    FROM entries AS e JOIN unnest($2::text[], $3::timestamptz[], $4::bigint[]) AS p (metric, after, times)
        ON p.metric = e.metric AND e.occurred_at > p.after
    WHERE e.program = $1 AND e.occurred_at < $6 AND e.position <= ($7::bigint[])[e.chain + 1] {{where}}
    GROUP BY e.chain, e.member, e.occurred_at
), held AS (
    SELECT h.chain, h.member, h.value, h.reached FROM (
        SELECT chain, member, floor(sum(amount) / $5::bigint)::bigint AS value,
               max(occurred_at) FILTER (WHERE amount > 0) AS reached
        FROM moments GROUP BY chain, member
    ) AS h JOIN members AS m ON m.chain = h.chain AND m.program = $1 AND m.member = h.member
    WHERE h.value > 0 AND {OPEN}
)"""  # noqa: S608 - made of constants
_ORDER = 'value DESC, reached, member COLLATE "C"'

POSITIONS = """
-- By chain, the last row of the ledger that is in this snapshot.
SELECT h.chain, coalesce(s.position, 0) AS position
FROM chain_heads AS h LEFT JOIN stream_positions AS s ON s.chain = h.chain AND s.topic = $1 ORDER BY h.chain
"""
MEMBERS = f"SELECT count(*) FROM members AS m WHERE m.program = $1 AND {OPEN}"  # noqa: S608 - made of constants
BEST = f"""
-- How many of the best $8 are on each chain, and what the last one in has.
{_HELD.format(where="")}
SELECT chain, count(*) AS here, min(value) AS threshold
FROM (SELECT chain, value FROM held ORDER BY {_ORDER} LIMIT $8) AS best GROUP BY chain
"""  # noqa: S608 - made of constants
HERE = f"""
-- The best $8 of chain $9.
{_HELD.format(where="AND e.chain = $9")}
SELECT member FROM held ORDER BY {_ORDER} LIMIT $8
"""  # noqa: S608 - made of constants
BEFORE = """
-- Who was among the best, or has a tier that a ranking ends.
SELECT member FROM members WHERE chain = $1 AND program = $2 AND standing ?| ARRAY['tops', 'ranked']
"""
