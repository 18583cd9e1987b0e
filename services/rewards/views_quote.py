"""Quotes: what is known of the member, read in one snapshot, and what the order will earn, asked of the ledger."""

from __future__ import annotations

from datetime import UTC, datetime

import structlog
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from services.common.chain import chain_of
from services.common.clock import utc_now
from services.common.db import Reader
from services.rewards.domain.program import Program
from services.rewards.domain.quote import Customer, Quote, quote
from services.rewards.domain.standing import AS_EVERYBODY, Segments, Standing
from services.rewards.domain.wallet import Wallet
from services.rewards.handle import present_of
from services.rewards.ledger_client import LedgerClient, LedgerUnavailable
from services.rewards.schemas_quotes import EarnsView, QuoteRequest, QuoteView, quote_view
from services.rewards.views import stored_value
from services.rewards.views_vouchers import usable_vouchers
from services.rewards.wire import program_of

log = structlog.get_logger("quotes")

VOUCHERS_MAX = 50
"""Vouchers that are tried on a basket: those that expire first."""

WHO = text("""
SELECT p.document, p.version, c.clock, w.posted, w.held, w.pending, w.tier, w.member IS NOT NULL AS known,
       s.lifecycle, s.class, s.tags
FROM programs AS p
LEFT JOIN program_clocks AS c ON (c.chain, c.program) = (p.chain, p.program)
LEFT JOIN wallets AS w ON (w.chain, w.program, w.member) = (p.chain, p.program, :member)
LEFT JOIN member_segments AS s ON (s.chain, s.program, s.member) = (p.chain, p.program, :member)
WHERE p.chain = :chain AND p.program = :program
""")


class QuoteViews:
    """Answers what a basket costs; changes nothing."""

    def __init__(self, reader: Reader, ledger: LedgerClient, chains: int) -> None:
        self._reader = reader
        self._ledger = ledger
        self._chains = chains

    async def quote(self, program_id: str, body: QuoteRequest) -> QuoteView:
        """The quote of a basket. Refusals: those of the domain's `quote`."""
        async with self._reader.snapshot() as connection:
            program, customer, at = await self._known(connection, program_id, body)
        quoted = quote(program, customer, body.basket(), at)
        assert program is not None  # noqa: S101  it was quoted
        # Only now, for what is earned depends on what is paid; and with no connection held while we wait.
        earns = await self._earns(program, body, quoted, at) if body.earns else None
        return quote_view(program, body, quoted, at, earns)

    async def _known(
        self, connection: AsyncConnection, program_id: str, body: QuoteRequest
    ) -> tuple[Program | None, Customer | None, datetime]:
        """The version in force on the member's chain, the member as the streams have told, and the moment."""
        chain = chain_of(body.member, self._chains)
        key = {"chain": chain, "program": program_id, "member": body.member}
        row = (await connection.execute(WHO, key)).one_or_none()
        if row is None:
            return None, None, utc_now()
        program = program_of(row.document, row.version)
        at = (body.occurred_at or present_of(program, row.clock, utc_now())).astimezone(UTC)
        if not row.known:
            return program, None, at
        segments = AS_EVERYBODY
        if row.lifecycle is not None:
            segments = Segments(row.lifecycle, row[9], frozenset(row.tags))
        money = (await stored_value(connection, chain, program_id, body.member)).get(program.currency)
        customer = Customer(
            standing=Standing(row.tier, segments),
            points=Wallet(row.posted, row.held, pending=row.pending).available,
            money=money.available if money else 0,
            vouchers=await usable_vouchers(connection, chain, program_id, body.member, at, VOUCHERS_MAX),
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
