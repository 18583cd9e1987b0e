"""The SQL that sorts whole populations: what the bounds are, and who is where. Table names follow the search_path."""

from __future__ import annotations

from services.tiering.domain.program_segments import QUINTILES
from services.tiering.domain.segments import CLASSES, GROUPS
from services.tiering.population import OPEN

QUANTILES = range(1, QUINTILES)


def _after(values: str, step: str) -> str:
    """The quintile bounds of a sorted array: `step` above its ceil(k n / 5)-th value, for each k."""
    return ", ".join(
        f"{values}[(({k} * n + {QUINTILES - 1}) / {QUINTILES})::integer] + {step}" for k in QUANTILES
    )


def _top(values: str, count: str, percent: str) -> str:
    """Where the top percent of a sorted array begins: its ceil(p n / 100)-th value from above."""
    return f"{values}[({count} - ({percent} * {count} + 99) / 100 + 1)::integer]"


MEASURE = f"""
-- The bounds of a run, over all chains. $1 program, $2 window, $3 at; $4 to $6 the bounds of fixed scores, or NULL;
-- $7 to $9 percents. Ties need no rule: equal values are on the same side of every bound.
WITH closed AS MATERIALIZED (
    SELECT m.chain, m.member FROM members AS m WHERE m.program = $1 AND NOT {OPEN}
), facts AS MATERIALIZED (
    SELECT max(occurred_at) AS recency, count(*) AS frequency, sum(amount_left)::bigint AS monetary,
           sum(promoted_left)::bigint AS promoted
    FROM purchases AS p
    WHERE program = $1 AND occurred_at > $2 AND occurred_at <= $3 AND amount_left > 0
    AND NOT EXISTS (SELECT FROM closed AS c WHERE c.chain = p.chain AND c.member = p.member)
    GROUP BY chain, member
), sorted AS MATERIALIZED (
    SELECT count(*) AS n, array_agg(recency ORDER BY recency) AS r, array_agg(frequency ORDER BY frequency) AS f,
           array_agg(monetary ORDER BY monetary) AS m,
           array_agg(monetary / frequency ORDER BY monetary / frequency) AS t,
           array_agg(promoted ORDER BY promoted) FILTER (WHERE promoted > 0) AS p
    FROM facts
), bounds AS MATERIALIZED (
    SELECT n,
           coalesce($4::timestamptz[], ARRAY[{_after("r", "interval '1 microsecond'")}]) AS recency,
           coalesce($5::bigint[], ARRAY[{_after("f", "1")}]) AS frequency,
           coalesce($6::bigint[], ARRAY[{_after("m", "1")}]) AS monetary,
           {_top("m", "n", "$7::bigint")} AS high_spend,
           {_top("t", "n", "$8::bigint")} AS high_ticket,
           {_top("p", "cardinality(p)", "$9::bigint")} AS bargain_hunter,
           {_top("m", "n", "50")} AS loyal
    FROM sorted
), scores AS (
    -- A score is high when it is above the average: from the first whole one above it on.
    SELECT sum(width_bucket(f.recency, b.recency) + 1) / count(*) + 1 AS recency_high,
           sum(width_bucket(f.frequency, b.frequency) + 1) / count(*) + 1 AS frequency_high,
           sum(width_bucket(f.monetary, b.monetary) + 1) / count(*) + 1 AS monetary_high
    FROM facts AS f CROSS JOIN bounds AS b
    HAVING count(*) > 0
)
SELECT * FROM bounds CROSS JOIN scores
"""  # noqa: S608 - made of constants

_GROUP = " ".join(
    f"WHEN (recency >= $15) = {r} AND (frequency >= $16) = {f} AND (monetary >= $17) = {m} THEN '{name}'"
    for (r, f, m), name in GROUPS.items()
)
_CONDITIONS = {
    "dormant": "last_at <= $9",
    # Purchases of the last half-year against a quarter of those of the year before it: half of the usual half-year.
    "churning": "lately * 4 < usual",
    "high_spend": "sales >= $18",
    "high_ticket": "sales / visits >= $19",
    "loyal": "sales >= $21 AND visits > 1 AND greatest(gap, $3 - bought_at) <= $22",
    "bargain_hunter": "promoted >= $20",
}
_CLASS = " ".join(f"WHEN {_CONDITIONS[name]} THEN '{name}'" for name in CLASSES if name in _CONDITIONS)

SORT = f"""
-- One chain's members, sorted; changes are written, and those of life cycle and class come back in the members' order.
-- $1 chain, $2 program, $3 at, $4 window; what was last bought by then: $5 lost, $6 dormant, $7 (won back, not by
-- then), $8 (first, not by then) new, $9 class dormant; $10 half-year, $11 the year before it; bounds: $12 to $14 of
-- scores, $15 to $17 of high scores, $18 to $21 of classes; $22 the longest gap of a loyal one.
WITH bought AS (
    SELECT member, occurred_at, amount_left, promoted_left, occurred_at > $4 AS counts,
           lag(occurred_at) OVER (PARTITION BY member ORDER BY occurred_at) AS before
    FROM purchases
    WHERE chain = $1 AND program = $2 AND amount_left > 0 AND occurred_at <= $3 AND occurred_at > least($4, $11)
), facts AS (
    SELECT member, max(occurred_at) FILTER (WHERE counts) AS bought_at, count(*) FILTER (WHERE counts) AS visits,
           sum(amount_left) FILTER (WHERE counts)::bigint AS sales,
           sum(promoted_left) FILTER (WHERE counts)::bigint AS promoted,
           max(occurred_at - before) FILTER (WHERE counts AND before > $4) AS gap,
           count(*) FILTER (WHERE occurred_at > $10) AS lately,
           count(*) FILTER (WHERE occurred_at > $11 AND occurred_at <= $10) AS usual
    FROM bought GROUP BY member
), known AS (
    SELECT m.member, m.enrolled_at, s.member IS NULL AS fresh, s.first_at, s.won_back_at,
           coalesce(s.last_at, m.enrolled_at) AS last_at,
           coalesce(s.lifecycle, 'new') AS lifecycle_before, coalesce(s.class, 'low_low') AS class_before,
           s.rfm AS rfm_before, s.recency AS recency_before, s.frequency AS frequency_before,
           s.monetary AS monetary_before,
           f.bought_at, nullif(f.visits, 0) AS visits, f.sales, f.promoted, f.gap, f.lately, f.usual,
           CASE WHEN f.visits > 0 THEN width_bucket(f.bought_at, $12::timestamptz[]) + 1 END AS recency,
           CASE WHEN f.visits > 0 THEN width_bucket(f.visits, $13::bigint[]) + 1 END AS frequency,
           CASE WHEN f.visits > 0 THEN width_bucket(f.sales, $14::bigint[]) + 1 END AS monetary
    FROM members AS m
    LEFT JOIN segments AS s ON s.chain = $1 AND s.program = $2 AND s.member = m.member
    LEFT JOIN facts AS f ON f.member = m.member
    WHERE m.chain = $1 AND m.program = $2 AND {OPEN}
), now AS MATERIALIZED (
    SELECT *,
        CASE WHEN last_at <= $5 THEN 'lost' WHEN last_at <= $6 THEN 'dormant' WHEN won_back_at > $7 THEN 'won_back'
             WHEN first_at <= $8 THEN 'active' ELSE 'new' END AS lifecycle,
        CASE {_CLASS} ELSE 'low_low' END AS class,
        CASE {_GROUP} ELSE '' END AS rfm
    FROM known
), written AS (
    INSERT INTO segments AS s
        (chain, program, member, lifecycle, lifecycle_since, class, class_since, rfm, recency, frequency, monetary)
    SELECT $1, $2, member, lifecycle, CASE WHEN lifecycle = lifecycle_before THEN enrolled_at ELSE $3 END,
           class, CASE WHEN class <> class_before THEN $3 END, rfm, recency, frequency, monetary
    FROM now
    WHERE fresh OR (lifecycle, class, rfm) <> (lifecycle_before, class_before, rfm_before)
    OR (recency, frequency, monetary) IS DISTINCT FROM (recency_before, frequency_before, monetary_before)
    ON CONFLICT (chain, program, member) DO UPDATE SET
        lifecycle = EXCLUDED.lifecycle,
        lifecycle_since = CASE WHEN s.lifecycle = EXCLUDED.lifecycle THEN s.lifecycle_since ELSE $3 END,
        class = EXCLUDED.class, class_since = coalesce(EXCLUDED.class_since, s.class_since), rfm = EXCLUDED.rfm,
        recency = EXCLUDED.recency, frequency = EXCLUDED.frequency, monetary = EXCLUDED.monetary
)
SELECT member, lifecycle_before, lifecycle, class_before, class FROM now
WHERE lifecycle <> lifecycle_before OR class <> class_before ORDER BY member
"""  # noqa: S608 - made of constants

COUNT = f"""
-- How many members of a chain are in each segment.
SELECT lifecycle, class, rfm, count(*) AS members
FROM segments AS s JOIN members AS m ON m.chain = s.chain AND m.program = s.program AND m.member = s.member
WHERE s.chain = $1 AND s.program = $2 AND {OPEN}
GROUP BY GROUPING SETS ((lifecycle), (class), (rfm))
"""  # noqa: S608 - made of constants
