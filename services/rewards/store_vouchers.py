"""Vouchers in one transaction: what is loaded, what is recorded, what is written back. The chains' heads are locked."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any

from services.common.chain import spread
from services.common.db import Transaction
from services.common.errors import InvariantBroken
from services.common.journal import Journal
from services.rewards.domain.grant_events import GrantEvent
from services.rewards.domain.voucher_events import (
    VoucherClaimed,
    VoucherClaimRefused,
    VoucherEvent,
    VoucherIssued,
    VoucherStep,
)
from services.rewards.domain.vouchers import USABLE, Voucher, VoucherState, begin, evolve, lapse
from services.rewards.wire_vouchers import terms_bytes, terms_of_bytes

USABLE_MAX = 50
"""Vouchers of a member that are tried on a basket: those that expire first."""
LAPSES_MAX = 500
"""Vouchers that one transaction lets lapse; the sweep takes the rest."""

VoucherKey = tuple[str, str, str]
"""(program, member, voucher id)"""

COLUMNS = """
v.program, v.member, v.voucher AS id, v.terms, v.state, v.source, v.source_id, v.issued_at, v.changed_at, v.expires_at,
v.first_position AS position, v.giver, v.claimed_by, v.code_sha256, v.gift_until, v.order_id AS "order", v.discount
"""
FIND_VOUCHERS = f"""
SELECT {COLUMNS}
FROM unnest($2::text[], $3::text[], $4::text[]) AS k (program, member, voucher)
CROSS JOIN LATERAL (
    SELECT * FROM vouchers
    WHERE chain = $1 AND program = k.program AND member = k.member AND voucher = k.voucher LIMIT 1
) AS v
"""  # noqa: S608 - constants
FIND_DUE = f"""
-- Under the chain's head, so that nobody else changes them. A program on its events lives at its own clock.
SELECT {COLUMNS}, v.present
FROM programs AS p
LEFT JOIN program_clocks AS c ON c.chain = p.chain AND c.program = p.program
CROSS JOIN LATERAL (
    SELECT vouchers.*, CASE WHEN p.runs_on_events THEN c.clock ELSE $3 END AS present FROM vouchers
    WHERE chain = p.chain AND program = p.program AND due_at <= CASE WHEN p.runs_on_events THEN c.clock ELSE $3 END
    ORDER BY due_at, member, voucher LIMIT {LAPSES_MAX}
) AS v
WHERE p.chain = $1 AND p.program = ANY($2::text[])
"""  # noqa: S608 - constants
FIND_VOUCHERS_OF = f"""
SELECT {COLUMNS} FROM vouchers AS v WHERE v.chain = $1 AND v.program = $2 AND v.member = $3 AND v.state <> 'given'
ORDER BY v.first_position, v.voucher LIMIT $4
"""  # noqa: S608 - constants
FIND_USABLE = f"""
SELECT {COLUMNS} FROM vouchers AS v
WHERE v.chain = $1 AND v.program = $2 AND v.member = $3 AND v.state = ANY($4::text[])
    AND (v.expires_at IS NULL OR v.expires_at > $5)
ORDER BY v.expires_at NULLS LAST, v.first_position LIMIT {USABLE_MAX}
"""  # noqa: S608 - constants
SAVE_VOUCHERS = """
INSERT INTO vouchers (chain, program, member, voucher, terms, state, source, source_id, issued_at, changed_at,
                      expires_at, first_position, giver, claimed_by, code_sha256, gift_until, order_id, discount,
                      due_at)
SELECT $1::smallint, * FROM unnest(
    $2::text[], $3::text[], $4::text[], $5::bytea[], $6::text[], $7::text[], $8::text[], $9::timestamptz[],
    $10::timestamptz[], $11::timestamptz[], $12::bigint[], $13::text[], $14::text[], $15::bytea[], $16::timestamptz[],
    $17::text[], $18::bigint[], $19::timestamptz[])
ON CONFLICT (chain, program, member, voucher) DO UPDATE
-- A voucher that came back to its giver by a merge stands where that member's own row of it stood.
SET source = EXCLUDED.source, source_id = EXCLUDED.source_id, issued_at = EXCLUDED.issued_at, giver = EXCLUDED.giver,
    first_position = EXCLUDED.first_position,
    state = EXCLUDED.state, changed_at = EXCLUDED.changed_at, claimed_by = EXCLUDED.claimed_by,
    code_sha256 = EXCLUDED.code_sha256, gift_until = EXCLUDED.gift_until, order_id = EXCLUDED.order_id,
    discount = EXCLUDED.discount, due_at = EXCLUDED.due_at
"""
FIND_CODE = """
-- On the chain of the hash: whoever brings a code does not say whose gift it is.
SELECT code_sha256, member, voucher FROM voucher_codes WHERE chain = $1 AND program = $2 AND code_sha256 = $3
"""
SAVE_CODES = """
INSERT INTO voucher_codes (chain, program, code_sha256, member, voucher)
SELECT * FROM unnest($1::smallint[], $2::text[], $3::bytea[], $4::text[], $5::text[])
"""


class Vouchers:
    """What one transaction has loaded of vouchers on the chains that `journal` has locked, and is about to write."""

    def __init__(self, journal: Journal) -> None:
        self.found: dict[VoucherKey, Voucher] = {}
        self._journal = journal
        self._changed: dict[int, dict[VoucherKey, Voucher]] = defaultdict(dict)

    async def load(self, tx: Transaction, chain: int, keys: Iterable[VoucherKey]) -> None:
        """Load the vouchers of `keys` that exist on `chain`."""
        self.found |= await find_vouchers(tx, chain, keys)

    async def load_usable(
        self, tx: Transaction, chain: int, program: str, member: str, at: datetime
    ) -> list[Voucher]:
        """Load those of a member's vouchers that a quote would try at `at`."""
        states = [str(state) for state in USABLE]
        rows = await tx.fetch(FIND_USABLE, chain, program, member, states, at)
        found = [voucher_of(row) for row in rows]
        self.found |= {(program, member, voucher.id): voucher for voucher in found}
        return found

    def record(
        self,
        chain: int,
        program: str,
        member: str,
        version: str,
        event: VoucherEvent,
        occurred_at: datetime,
        recorded_at: datetime,
        cause: tuple[str, str, bytes | None],
    ) -> int:
        """Put an event behind the chain's head and bring its voucher up to it. Returns its position."""
        position = self.note(chain, program, member, version, event, occurred_at, recorded_at, cause)
        if not isinstance(event, VoucherClaimRefused):
            key = (program, member, event.voucher)
            self._changed[chain][key] = project_voucher(self.found, key, event, occurred_at, position)
        return position

    def put(self, chain: int, voucher: Voucher) -> None:
        """A voucher that came over from another member."""
        key = (voucher.program, voucher.member, voucher.id)
        self.found[key] = self._changed[chain][key] = voucher

    def note(
        self,
        chain: int,
        program: str,
        member: str,
        version: str,
        event: VoucherEvent | GrantEvent,
        occurred_at: datetime,
        recorded_at: datetime,
        cause: tuple[str, str, bytes | None],
    ) -> int:
        """Put an event behind the chain's head that changes no voucher. Returns its position."""
        return self._journal.append(chain, program, member, event, occurred_at, recorded_at, cause, version)

    async def lapse(self, tx: Transaction, chain: int, programs: Iterable[str], now: datetime) -> int:
        """Let what is due on a chain go back or expire, by its program's present. Returns how many were due."""
        due = await tx.fetch(FIND_DUE, chain, sorted(set(programs)), now)
        for row in due:
            values = dict(row)
            present = values.pop("present")
            voucher = voucher_of(values)
            # What this transaction has changed is newer than its row.
            voucher = self.found.setdefault((voucher.program, voucher.member, voucher.id), voucher)
            for event, at in lapse(voucher, present):
                cause = ("tallybook/rewards", f"clock/{voucher.id}", None)
                self.record(chain, voucher.program, voucher.member, "", event, at, now, cause)
        return len(due)

    async def write(self, tx: Transaction) -> None:
        """Write the vouchers; the journal writes its rows itself."""
        for chain, changed in sorted(self._changed.items()):
            await save_vouchers(tx, chain, changed.values())


def project_voucher(
    vouchers: dict[VoucherKey, Voucher], key: VoucherKey, event: VoucherStep, at: datetime, position: int
) -> Voucher:
    """Bring the voucher of `key` up to an event of our own journal, in `vouchers`, and return it.

    Raises:
        InvariantBroken: the event can't come where the voucher stands.
    """
    if isinstance(event, VoucherIssued | VoucherClaimed):
        if key in vouchers:
            raise InvariantBroken(f"voucher {key} begins twice")
        vouchers[key] = begin(key[0], key[1], event, at, position)
    elif key not in vouchers:
        raise InvariantBroken(f"{type(event).__name__} of a voucher that never began: {key}")
    else:
        vouchers[key] = evolve(vouchers[key], event, at)
    return vouchers[key]


async def find_vouchers(tx: Transaction, chain: int, keys: Iterable[VoucherKey]) -> dict[VoucherKey, Voucher]:
    """The vouchers of `keys` that exist, by one query."""
    wanted = sorted(set(keys))
    if not wanted:
        return {}
    rows = await tx.fetch(
        FIND_VOUCHERS, chain, [k[0] for k in wanted], [k[1] for k in wanted], [k[2] for k in wanted]
    )
    return {(row["program"], row["member"], row["id"]): voucher_of(row) for row in rows}


async def find_vouchers_of(
    tx: Transaction, chain: int, program: str, member: str, limit: int
) -> list[Voucher]:
    """A member's vouchers, but for those that another member has now."""
    return [voucher_of(row) for row in await tx.fetch(FIND_VOUCHERS_OF, chain, program, member, limit)]


async def save_vouchers(tx: Transaction, chain: int, vouchers: Iterable[Voucher]) -> None:
    """Write vouchers as they now are, by one statement."""
    rows = sorted(vouchers, key=lambda v: (v.program, v.member, v.id))
    if rows:
        await tx.execute(
            SAVE_VOUCHERS,
            chain,
            [v.program for v in rows],
            [v.member for v in rows],
            [v.id for v in rows],
            [terms_bytes(v.terms) for v in rows],
            [str(v.state) for v in rows],
            [v.source for v in rows],
            [v.source_id for v in rows],
            [v.issued_at for v in rows],
            [v.changed_at for v in rows],
            [v.expires_at for v in rows],
            [v.position for v in rows],
            [v.giver for v in rows],
            [v.claimed_by for v in rows],
            [v.code_sha256 for v in rows],
            [v.gift_until for v in rows],
            [v.order for v in rows],
            [v.discount for v in rows],
            [v.due_at for v in rows],
        )


async def save_codes(tx: Transaction, codes: Sequence[tuple[VoucherKey, bytes]], chains: int) -> None:
    """Note whose gifts have these codes, each on the chain of its hash."""
    if codes:
        await tx.execute(
            SAVE_CODES,
            [spread(code, chains) for _, code in codes],
            [key[0] for key, _ in codes],
            [code for _, code in codes],
            [key[1] for key, _ in codes],
            [key[2] for key, _ in codes],
        )


async def find_code(tx: Transaction, program: str, code_sha256: bytes, chains: int) -> tuple[str, str] | None:
    """(member, voucher) of the gift that was given with this code, if there was one."""
    row = await tx.fetchrow(FIND_CODE, spread(code_sha256, chains), program, code_sha256)
    return None if row is None else (row["member"], row["voucher"])


def voucher_of(row: Mapping[str, Any]) -> Voucher:
    """A voucher of its row, the columns named as its fields."""
    values = dict(row)
    values["terms"] = terms_of_bytes(values["terms"])
    values["state"] = VoucherState(values["state"])
    return Voucher(**values)
