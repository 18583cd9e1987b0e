"""Takes what is done with vouchers: one request, one transaction. The ledger is not asked for anything."""

from __future__ import annotations

import base64
import hashlib
import hmac
import secrets
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Protocol, TypeVar

from services.common import telemetry
from services.common.chain import chain_of, spread
from services.common.clock import utc_now
from services.common.db import Transaction, Writer
from services.common.errors import Refusal
from services.common.journal import Journal
from services.rewards.domain.program import Program
from services.rewards.domain.voucher_events import VoucherClaimRefused, VoucherGifted, VoucherStep
from services.rewards.domain.voucher_terms import Line, Pack
from services.rewards.domain.vouchers import (
    Voucher,
    claim,
    gift,
    issued,
    unuse,
    use,
    void,
    voucher_id,
    withdraw,
)
from services.rewards.handle import digest_of, present_of, was_taken
from services.rewards.moving import at_home, heir_of, must_be_home, on_its_way
from services.rewards.standings import must_know
from services.rewards.store import Cause, find_program, remember
from services.rewards.store_vouchers import VoucherKey, Vouchers, find_code, save_codes
from services.rewards.wire import payload_of

CODE_BYTES = 20
"""160 bits: nobody guesses that, and a code's plain SHA-256 can't be searched for."""
CODE_GROUP = 4
GUESSES_MAX = 20
GUESSES_WINDOW = timedelta(minutes=10)
"""So many codes that are no good may an API key bring in this while; then it waits until the while is over."""

T = TypeVar("T")

GUESSES = "SELECT wrong FROM code_guesses WHERE chain = $1 AND api_key = $2 AND since > $3"
GUESS = """
INSERT INTO code_guesses (chain, api_key, since, wrong) VALUES ($1, $2, $3, 1)
ON CONFLICT (chain, api_key) DO UPDATE SET
    since = CASE WHEN code_guesses.since > $4 THEN code_guesses.since ELSE $3 END,
    wrong = CASE WHEN code_guesses.since > $4 THEN code_guesses.wrong + 1 ELSE 1 END
"""


class Patiently(Protocol):
    """Runs a transaction for somebody who waits, passing faults tried again (`Redeemer.patiently`)."""

    def __call__(self, transaction: Callable[[], Awaitable[T]]) -> Awaitable[T]: ...


@dataclass(slots=True, frozen=True)
class VoucherAnswer:
    """What a request came to. `duplicate`: the same request had been taken before."""

    vouchers: list[Voucher]
    duplicate: bool
    code: str | None = None
    """Of a gift, told this once."""


@dataclass(slots=True, frozen=True)
class Moment:
    """What a request is decided by beside the voucher: the program in force, if any, and its present."""

    program: Program | None
    present: datetime

    @property
    def version(self) -> str:
        """The version in force."""
        return self.program.version if self.program else ""


class VoucherDesk:
    """Takes requests about vouchers. Each raises Refusal."""

    def __init__(
        self, writer: Writer, wake_relay: Callable[[], None], chains: int, patiently: Patiently
    ) -> None:
        self._writer = writer
        self._wake_relay = wake_relay
        self._chains = chains
        self._patiently = patiently

    async def issue(self, program: str, member: str, kind: str, count: int, key: str) -> VoucherAnswer:
        """Give vouchers by hand. Refusals: id_reused, unknown_program, unknown_member, unknown_voucher_kind."""
        cause = (f"{program}/voucher", key, digest_of("issue", program, member, kind, count))
        ids = [voucher_id(program, member, "ops", key, kind, number) for number in range(1, count + 1)]

        async def transaction(home: VoucherKey) -> VoucherAnswer:
            now, here = utc_now(), home[1]
            chain = chain_of(here, self._chains)
            keys = [(program, here, id_) for id_ in ids]
            async with self._writer.transaction() as tx:
                journal, vouchers = await self._begin(tx, [chain])
                await must_be_home(tx, chain, program, here)
                if await was_taken(tx, cause, self._chains):
                    await vouchers.load(tx, chain, keys)
                    return VoucherAnswer([_there(vouchers, k) for k in keys], duplicate=True)
                moment = await self._moment(tx, chain, program, now)
                if moment.program is None:
                    raise Refusal(
                        "unknown_program", "no such program is active; programs are activated at the ledger"
                    )
                await must_know(tx, chain, program, here)
                terms = moment.program.vouchers.get(kind)
                if terms is None:
                    raise Refusal("unknown_voucher_kind", f"the program has no vouchers {kind!r}")
                steps = issued(Pack(terms, count), program, member, "ops", key, moment.present)
                for number, step in enumerate(steps, 1):
                    # The request is answered by its last row: that one has the digest.
                    why = cause if number == count else (*cause[:2], None)
                    position = vouchers.record(
                        chain, program, here, moment.version, step, moment.present, now, why
                    )
                await remember(tx, cause, self._chains, here, chain, position)
                await journal.write(tx)
                await vouchers.write(tx)
            return VoucherAnswer([vouchers.found[k] for k in keys], duplicate=False)

        return await self._take((program, member, ""), transaction)

    async def use(
        self, key: VoucherKey, order: str, store: str, lines: Sequence[Line], request_key: str
    ) -> VoucherAnswer:
        """Use a voucher for an order; what it takes off is the answer's `discount`."""
        basket = [[line.sku, line.category, line.quantity, line.amount] for line in lines]
        content = ("use", *key, order, store, basket)
        return await self._change(
            key, request_key, content, lambda v, moment: use(v, key[2], order, store, lines, moment.present)
        )

    async def unuse(self, key: VoucherKey, order: str, request_key: str) -> VoucherAnswer:
        """Its order was cancelled: it is good again."""
        return await self._change(
            key, request_key, ("unuse", *key, order), lambda v, _: unuse(v, key[2], order)
        )

    async def gift(self, key: VoucherKey, request_key: str) -> VoucherAnswer:
        """Give it away: the answer has the code, this once. The same request again is answered without."""
        code = base64.b32encode(secrets.token_bytes(CODE_BYTES)).decode()
        digest = hash_of_code(code)
        answer = await self._change(
            key, request_key, ("gift", *key), lambda v, moment: gift(v, key[2], digest, moment.present)
        )
        grouped = "-".join(code[i : i + CODE_GROUP] for i in range(0, len(code), CODE_GROUP))
        return answer if answer.duplicate else VoucherAnswer(answer.vouchers, duplicate=False, code=grouped)

    async def withdraw(self, key: VoucherKey, request_key: str) -> VoucherAnswer:
        """Take a gift back that nobody has claimed."""
        return await self._change(key, request_key, ("withdraw", *key), lambda v, _: withdraw(v, key[2]))

    async def void(self, key: VoucherKey, reason: str, request_key: str) -> VoucherAnswer:
        """Take it from the member by hand."""
        return await self._change(
            key, request_key, ("void", *key, reason), lambda v, _: void(v, key[2], reason)
        )

    async def claim(
        self, program: str, member: str, code: str, api_key: str, request_key: str
    ) -> VoucherAnswer:
        """Take a gift by its code.

        Refusals: id_reused, too_many_guesses, unknown_member, then those of the domain's `claim`. A code that is not
        known is recorded, and counts against the API key.
        """
        digest = hash_of_code(code)
        cause = (f"{program}/voucher", request_key, digest_of("claim", program, member, digest.hex()))
        answer = await self._take(
            (program, member, ""), lambda home: self._claim(program, home[1], digest, api_key, cause)
        )
        if isinstance(answer, Refusal):
            raise answer
        return answer

    async def _claim(
        self, program: str, member: str, digest: bytes, api_key: str, cause: Cause
    ) -> VoucherAnswer | Refusal:
        now, mine = utc_now(), chain_of(member, self._chains)
        async with self._writer.transaction() as tx:
            # Before the chains are locked, for it says which: whose gift has a code never changes.
            giver = await find_code(tx, program, digest, self._chains)
            if giver is not None:
                giver = (await heir_of(tx, program, giver[0], self._chains), giver[1])
            theirs = mine if giver is None else chain_of(giver[0], self._chains)
            journal, vouchers = await self._begin(tx, [mine, theirs])
            await must_be_home(tx, mine, program, member)
            given = None
            if giver is not None:
                own = (program, member, giver[1])
                await vouchers.load(tx, mine, [own])
                await vouchers.load(tx, theirs, [(program, *giver)])
                given = vouchers.found.get((program, *giver))
                if await was_taken(tx, cause, self._chains):
                    return VoucherAnswer([_there(vouchers, own)], duplicate=True)
            await self._spare_guesses(tx, api_key, now)
            await must_know(tx, mine, program, member)
            here = await self._moment(tx, mine, program, now)
            there = await self._moment(tx, theirs, program, now)
            present = max(here.present, there.present)
            is_its_code = given is not None and hmac.compare_digest(given.code_sha256 or b"", digest)
            try:
                leaves, arrives = claim(given, is_its_code, member, present)
            except Refusal as refusal:
                if refusal.code != "unknown_code":
                    raise
                wrong = VoucherClaimRefused(api_key, refusal.code)
                vouchers.record(mine, program, member, here.version, wrong, present, now, (*cause[:2], None))
                since = now - GUESSES_WINDOW
                await tx.execute(GUESS, spread(api_key.encode(), self._chains), api_key, now, since)
                await journal.write(tx)
                return refusal
            assert giver is not None and given is not None  # noqa: S101  else it is unknown_code
            at = max(present, given.changed_at)
            vouchers.record(theirs, program, giver[0], there.version, leaves, at, now, (*cause[:2], None))
            position = vouchers.record(mine, program, member, here.version, arrives, at, now, cause)
            await remember(tx, cause, self._chains, member, mine, position)
            await journal.write(tx)
            await vouchers.write(tx)
        return VoucherAnswer([vouchers.found[own]], duplicate=False)

    async def _change(
        self,
        key: VoucherKey,
        request_key: str,
        content: Sequence[object],
        decide: Callable[[Voucher | None, Moment], list[VoucherStep]],
    ) -> VoucherAnswer:
        """One step of one voucher."""
        cause = (f"{key[0]}/voucher", request_key, digest_of(*content))

        async def transaction(key: VoucherKey) -> VoucherAnswer:
            program, member, _ = key
            now, chain = utc_now(), chain_of(member, self._chains)
            async with self._writer.transaction() as tx:
                journal, vouchers = await self._begin(tx, [chain])
                await must_be_home(tx, chain, program, member)
                await vouchers.load(tx, chain, [key])
                if await was_taken(tx, cause, self._chains):
                    return VoucherAnswer([_there(vouchers, key)], duplicate=True)
                moment = await self._moment(tx, chain, program, now)
                for step in decide(vouchers.found.get(key), moment):
                    at = max(moment.present, vouchers.found[key].changed_at)
                    position = vouchers.record(chain, program, member, moment.version, step, at, now, cause)
                    await remember(tx, cause, self._chains, member, chain, position)
                    if isinstance(step, VoucherGifted):
                        await save_codes(tx, [(key, step.code_sha256)], self._chains)
                await journal.write(tx)
                await vouchers.write(tx)
            return VoucherAnswer([vouchers.found[key]], duplicate=False)

        return await self._take(key, transaction)

    async def _take(self, key: VoucherKey, transaction: Callable[[VoucherKey], Awaitable[T]]) -> T:
        """A request, counted by what it came to."""
        try:
            answer = await self._patiently(lambda: at_home(key, transaction))
        except Refusal as refusal:
            telemetry.COMMANDS.labels(refusal.code).inc()
            raise
        if isinstance(answer, Refusal):
            outcome = answer.code
        else:
            outcome = "duplicate" if getattr(answer, "duplicate", False) else "recorded"
        telemetry.COMMANDS.labels(outcome).inc()
        self._wake_relay()
        return answer

    async def _begin(self, tx: Transaction, chains: Sequence[int]) -> tuple[Journal, Vouchers]:
        journal = await Journal.lock(tx, chains, payload_of)
        return journal, Vouchers(journal)

    async def _moment(self, tx: Transaction, chain: int, program: str, now: datetime) -> Moment:
        found = await find_program(tx, chain, program)
        return Moment(None, now) if found is None else Moment(found[0], present_of(*found, now))

    async def _spare_guesses(self, tx: Transaction, api_key: str, now: datetime) -> None:
        """Before the code is looked at, so that a guesser does not even learn of a lucky hit."""
        chain = spread(api_key.encode(), self._chains)
        wrong = await tx.fetchval(GUESSES, chain, api_key, now - GUESSES_WINDOW)
        if (wrong or 0) >= GUESSES_MAX:
            raise Refusal(
                "too_many_guesses",
                f"this API key has brought {wrong} codes that are no good: wait {GUESSES_WINDOW.seconds // 60} minutes",
            )


def _there(vouchers: Vouchers, key: VoucherKey) -> Voucher:
    """The voucher of a request that was taken before."""
    if key not in vouchers.found:
        raise on_its_way()
    return vouchers.found[key]


def hash_of_code(code: str) -> bytes:
    """SHA-256 of a code, however it is written: dashes, spaces and small letters are read as the code itself."""
    plain = "".join(letter for letter in code.upper() if letter not in "- ")
    return hashlib.sha256(plain.encode()).digest()
