"""Quotes: what is known of the member, read in one snapshot, and what the order will earn, asked of the ledger."""

from __future__ import annotations

from datetime import datetime

import structlog

from services.common.chain import chain_of
from services.common.clock import utc_now
from services.common.db import Writer
from services.rewards.domain.money import Money
from services.rewards.domain.program import Program
from services.rewards.domain.quote import Customer, Quote, quote
from services.rewards.domain.standing import AS_EVERYBODY, Segments, Standing
from services.rewards.domain.vouchers import USABLE
from services.rewards.domain.wallet import Wallet
from services.rewards.ledger_client import LedgerClient, LedgerUnavailable
from services.rewards.schemas_quotes import EarnsView, QuoteRequest, QuoteView, quote_view
from services.rewards.store_vouchers import USABLE_MAX
from services.rewards.views_vouchers import voucher_of_row
from services.rewards.wire import program_of

log = structlog.get_logger("quotes")

WHO = f"""
-- All that a quote looks at in one statement: one moment, one way to the database and back.
SELECT p.document, p.version, t.at, h.into_member, w.member IS NOT NULL AS known, w.posted, w.held, w.pending, w.tier,
    s.lifecycle, s.class AS member_class, s.tags,
    ARRAY(SELECT m FROM member_money AS m WHERE (m.chain, m.program, m.member) = ($1, $2, $3)) AS money,
    ARRAY(
        SELECT v FROM vouchers AS v
        WHERE (v.chain, v.program, v.member) = ($1, $2, $3) AND v.state = ANY($6::text[])
            AND (v.expires_at IS NULL OR v.expires_at > t.at)
        ORDER BY v.expires_at NULLS LAST, v.first_position LIMIT {USABLE_MAX}
    ) AS vouchers
FROM programs AS p
LEFT JOIN program_clocks AS c ON (c.chain, c.program) = (p.chain, p.program)
CROSS JOIN LATERAL (
    SELECT coalesce($4::timestamptz, CASE WHEN p.runs_on_events THEN c.clock END, $5::timestamptz) AS at
) AS t
LEFT JOIN wallets AS w ON (w.chain, w.program, w.member) = (p.chain, p.program, $3)
LEFT JOIN member_segments AS s ON (s.chain, s.program, s.member) = (p.chain, p.program, $3)
LEFT JOIN heirs AS h ON (h.chain, h.program, h.member) = (p.chain, p.program, $3)
WHERE p.chain = $1 AND p.program = $2
"""  # noqa: S608 - a constant


class QuoteViews:
    """Answers what a basket costs; changes nothing."""

    def __init__(self, writer: Writer, ledger: LedgerClient, chains: int) -> None:
        self._writer = writer
        self._ledger = ledger
        self._chains = chains

    async def quote(self, program_id: str, body: QuoteRequest) -> QuoteView:
        """The quote of a basket. Refusals: those of the domain's `quote`."""
        program, customer, at = await self._known(program_id, body, body.member)
        quoted = quote(program, customer, body.basket(), at)
        assert program is not None  # noqa: S101  it was quoted
        # Only now, for what is earned depends on what is paid; and with no connection held while we wait.
        earns = await self._earns(program, body, quoted, at) if body.earns else None
        return quote_view(program, body, quoted, at, earns)

    async def _known(
        self, program_id: str, body: QuoteRequest, member: str
    ) -> tuple[Program | None, Customer | None, datetime]:
        """The version in force on the member's chain, the member as the streams have told, and the moment."""
        chain, now = chain_of(member, self._chains), utc_now()
        # By the bare driver: with three queries by the views' sessions a quote took 6 ms of CPU, so it takes 3.
        async with self._writer.session() as session:
            row = await session.fetchrow(
                WHO, chain, program_id, member, body.occurred_at, now, [str(state) for state in USABLE]
            )
        if row is None:
            return None, None, now
        if row["into_member"] is not None:
            return await self._known(program_id, body, row["into_member"])
        program, at = program_of(row["document"], row["version"]), row["at"]
        if not row["known"]:
            return program, None, at
        segments = AS_EVERYBODY
        if row["lifecycle"] is not None:
            segments = Segments(row["lifecycle"], row["member_class"], frozenset(row["tags"]))
        customer = Customer(
            standing=Standing(row["tier"], segments),
            points=Wallet(row["posted"], row["held"], pending=row["pending"]).available,
            money=sum(
                Money(money["principal"], money["bonus"], money["held"]).available
                for money in row["money"]
                if money["currency"] == program.currency
            ),
            vouchers=[voucher_of_row(voucher) for voucher in row["vouchers"]],
        )
        return program, customer, at

    async def _earns(self, program: Program, body: QuoteRequest, quoted: Quote, at: datetime) -> EarnsView:
        """What the ledger says that the order will earn; a quote is good without it."""
        purchase = {
            "member": body.member,
            "occurred_at": at.isoformat(),
            "store": body.store,
            "channel": body.channel,
            "payment_method": body.payment_method,
            "currency": program.currency,
            "lines": [
                {
                    "id": q.line.id,
                    "sku": q.line.sku,
                    "category": q.line.category,
                    "quantity": q.line.quantity,
                    "amount": q.left,
                    "brand": q.line.brand,
                }
                for q in quoted.lines
            ],
        }
        try:
            points = await self._ledger.would_earn(program.id, purchase)
        except LedgerUnavailable as error:
            log.warning("a quote without what the order will earn", why=str(error))
            return EarnsView(points=None, why_not="ledger_did_not_answer")
        if isinstance(points, int):
            return EarnsView(points=points, why_not=None)
        return EarnsView(points=None, why_not=points.code)
