"""Reads for the HTTP API: plain SQL on projections, each answer from one snapshot."""

from __future__ import annotations

from sqlalchemy import RowMapping, select

from services.common.chain import chain_of
from services.common.db import Reader
from services.common.errors import Refusal
from services.rewards.domain.redemption import Redemption, State
from services.rewards.domain.vouchers import Voucher
from services.rewards.domain.wallet import Wallet
from services.rewards.schemas import (
    CatalogueView,
    PointsView,
    RedemptionView,
    RewardView,
    WalletView,
)
from services.rewards.schemas_vouchers import voucher_view
from services.rewards.tables import programs, redemptions, wallets
from services.rewards.views_vouchers import newest_vouchers
from services.rewards.wire import program_of
from services.rewards.wire_vouchers import pack_of_bytes

WALLET_REDEMPTIONS_MAX = 20
WALLET_VOUCHERS_MAX = 50


def redemption_view(redemption: Redemption) -> RedemptionView:
    """A redemption as the API shows it."""
    return RedemptionView(
        redemption=redemption.id,
        program=redemption.program,
        member=redemption.member,
        state=str(redemption.state),
        reward=redemption.reward,
        name=redemption.name,
        kind=redemption.kind,
        value=redemption.value,
        points=redemption.points,
        order=redemption.order,
        requested_at=redemption.requested_at,
        changed_at=redemption.changed_at,
        expires_at=redemption.expires_at,
        code=redemption.code,
        detail=redemption.detail,
    )


class Views:
    """Answers questions; changes nothing."""

    def __init__(self, reader: Reader, chains: int) -> None:
        self._reader = reader
        self._chains = chains

    async def catalogue(self, program: str) -> CatalogueView:
        """The version in force. Raises Refusal("unknown_program")."""
        # A version is activated chain by chain; one chain, always the same for a program, speaks for all.
        query = select(programs.c.document, programs.c.version).where(
            programs.c.chain == chain_of(program, self._chains), programs.c.program == program
        )
        async with self._reader.snapshot() as connection:
            row = (await connection.execute(query)).one_or_none()
        if row is None:
            raise Refusal(
                "unknown_program", f"no program {program!r} is active; programs are activated at the ledger"
            )
        rewards = program_of(row.document, row.version).catalogue.values()
        return CatalogueView(
            program=program,
            version=row.version,
            rewards=[
                RewardView(id=r.id, name=r.name, kind=r.kind, points=r.points, value=r.value) for r in rewards
            ],
        )

    async def wallet(self, program: str, member: str) -> WalletView:
        """Points, tier and redemptions. Raises Refusal("unknown_member")."""
        chain = chain_of(member, self._chains)
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
        async with self._reader.snapshot() as connection:
            row = (await connection.execute(wallet)).one_or_none()
            found = (await connection.execute(newest)).mappings().all()
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
            tier=row.tier or "",
            redemptions=[redemption_view(_redemption(r)) for r in found],
            vouchers=[voucher_view(voucher) for voucher in held],
        )

    async def vouchers(
        self, program: str, member: str, before: int | None, limit: int
    ) -> tuple[list[Voucher], bool]:
        """A page of a member's vouchers, and whether there are more behind it."""
        async with self._reader.snapshot() as connection:
            found = await newest_vouchers(
                connection, chain_of(member, self._chains), program, member, limit + 1, before
            )
        return found[:limit], len(found) > limit

    async def redemption(self, program: str, member: str, redemption_id: str) -> RedemptionView:
        """One redemption. Raises Refusal("unknown_redemption")."""
        query = select(redemptions).where(
            redemptions.c.chain == chain_of(member, self._chains),
            redemptions.c.program == program,
            redemptions.c.member == member,
            redemptions.c.redemption == redemption_id,
        )
        async with self._reader.snapshot() as connection:
            row = (await connection.execute(query)).mappings().one_or_none()
        if row is None:
            raise Refusal("unknown_redemption", f"the member has no redemption {redemption_id!r}")
        return redemption_view(_redemption(row))


def _redemption(row: RowMapping) -> Redemption:
    values = dict(row)
    del values["chain"]
    values["id"] = values.pop("redemption")
    values["order"] = values.pop("order_id")
    values["position"] = values.pop("first_position")
    values["state"] = State(values["state"])
    values["pack"] = pack_of_bytes(values["pack"])
    return Redemption(**values)
