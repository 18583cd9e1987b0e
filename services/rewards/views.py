"""Reads for the HTTP API: plain SQL on projections, each answer from one snapshot."""

from __future__ import annotations

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncConnection

from services.common.chain import chain_of
from services.common.db import Reader
from services.common.errors import InvariantBroken, Refusal
from services.rewards.domain.money import Money
from services.rewards.domain.vouchers import Voucher
from services.rewards.domain.wallet import Wallet
from services.rewards.moving import HOPS_MAX
from services.rewards.schemas import MoneyView, PointsView, WalletView
from services.rewards.schemas_redemptions import RedemptionView, redemption_view
from services.rewards.schemas_vouchers import voucher_view
from services.rewards.store_redemptions import redemption_of
from services.rewards.tables import heirs, member_money, redemptions, wallets
from services.rewards.views_draws import DrawViews
from services.rewards.views_vouchers import newest_vouchers

WALLET_REDEMPTIONS_MAX = 20
WALLET_VOUCHERS_MAX = 50


class Views:
    """Answers questions; changes nothing."""

    def __init__(self, reader: Reader, chains: int) -> None:
        self.reader = reader
        self.chains = chains
        self.draws = DrawViews(reader, chains)

    async def home(self, program: str, member: str) -> str:
        """Who answers for a member now: the member, or whom it was merged into."""
        async with self.reader.snapshot() as connection:
            for _ in range(HOPS_MAX):
                query = select(heirs.c.into_member).where(
                    heirs.c.chain == chain_of(member, self.chains),
                    heirs.c.program == program,
                    heirs.c.member == member,
                )
                into = (await connection.execute(query)).scalar_one_or_none()
                if into is None:
                    return member
                member = into
        raise InvariantBroken(f"{member} was merged {HOPS_MAX} times over, or in a ring")

    async def wallet(self, program: str, member: str) -> WalletView:
        """Points, money, tier, redemptions, vouchers. Raises Refusal("unknown_member")."""
        member = await self.home(program, member)
        chain = chain_of(member, self.chains)
        wallet = select(wallets).where(
            wallets.c.chain == chain, wallets.c.program == program, wallets.c.member == member
        )
        newest = (
            select(redemptions)
            .where(
                redemptions.c.chain == chain,
                redemptions.c.program == program,
                redemptions.c.member == member,
            )
            .order_by(redemptions.c.first_position.desc())
            .limit(WALLET_REDEMPTIONS_MAX)
        )
        async with self.reader.snapshot() as connection:
            row = (await connection.execute(wallet)).one_or_none()
            found = (await connection.execute(newest)).mappings().all()
            money = await stored_value(connection, chain, program, member)
            held = await newest_vouchers(connection, chain, program, member, WALLET_VOUCHERS_MAX)
        if row is None:
            raise Refusal(
                "unknown_member", f"the ledger has told of no member {member!r} in program {program!r}"
            )
        return WalletView(
            program=program,
            member=member,
            points=PointsView(
                available=Wallet(row.posted, row.held, pending=row.pending).available,
                posted=row.posted,
                held=row.held,
                pending=row.pending,
            ),
            money=money,
            tier=row.tier or "",
            redemptions=[redemption_view(redemption_of(dict(r))) for r in found],
            vouchers=[voucher_view(voucher) for voucher in held],
        )

    async def vouchers(
        self, program: str, member: str, before: int | None, limit: int
    ) -> tuple[list[Voucher], bool]:
        """A page of a member's vouchers, and whether there are more behind it."""
        member = await self.home(program, member)
        async with self.reader.snapshot() as connection:
            found = await newest_vouchers(
                connection, chain_of(member, self.chains), program, member, limit + 1, before
            )
        return found[:limit], len(found) > limit

    async def redemption(self, program: str, member: str, redemption_id: str) -> RedemptionView:
        """One redemption. Raises Refusal("unknown_redemption")."""
        member = await self.home(program, member)
        query = select(redemptions).where(
            redemptions.c.chain == chain_of(member, self.chains),
            redemptions.c.program == program,
            redemptions.c.member == member,
            redemptions.c.redemption == redemption_id,
        )
        async with self.reader.snapshot() as connection:
            row = (await connection.execute(query)).mappings().one_or_none()
        if row is None:
            raise Refusal("unknown_redemption", f"the member has no redemption {redemption_id!r}")
        return redemption_view(redemption_of(dict(row)))


async def stored_value(
    connection: AsyncConnection, chain: int, program: str, member: str
) -> dict[str, MoneyView]:
    """A member's stored value, by currency."""
    query = (
        select(member_money)
        .where(
            member_money.c.chain == chain,
            member_money.c.program == program,
            member_money.c.member == member,
        )
        .order_by(member_money.c.currency)
    )
    found = (await connection.execute(query)).all()
    return {
        row.currency: MoneyView(
            principal=row.principal,
            bonus=row.bonus,
            held=row.held,
            available=Money(row.principal, row.bonus, row.held).available,
        )
        for row in found
    }
