"""Asks the ledger over HTTP: holds, captures, releases, refunds. Every request may be sent again: it counts once."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any
from urllib.parse import quote

import httpx
import structlog
from pydantic import SecretStr

from services.rewards.domain.decide import HoldStands, HoldState, LedgerAnswer, LedgerRefused, RefundStands
from services.rewards.domain.redemption import Redemption, State
from services.rewards.domain.refunds import ledger_key

log = structlog.get_logger("ledger_client")

CONNECT_SECONDS = 2.0
ANSWER_SECONDS = 5.0
"""Both together, with the wait for a connection, stay well below a step's lease (store.LEASE_SECONDS)."""
POOL_SECONDS = 2.0
CONNECTIONS_MAX = 50
DETAIL_MAX = 500

HOLD_STATES: Mapping[str, HoldState] = {
    "open": "open",
    "captured": "captured",
    "released": "released",
    "expired": "expired",
}
NOT_ABOUT_THE_STEP = frozenset({401, 403, 408, 413, 425, 429})
"""Answers that say nothing about the redemption: our key is wrong, or we are to come again."""


class LedgerUnavailable(Exception):
    """The ledger did not answer, or not about the step: ask again later. Whether it acted is not known."""


class LedgerClient:
    """One client for the process; `close` it. The key is sent, never logged."""

    def __init__(self, url: str, key: SecretStr, transport: httpx.AsyncBaseTransport | None = None) -> None:
        self._http = httpx.AsyncClient(
            base_url=url.rstrip("/"),
            headers={"Authorization": f"Bearer {key.get_secret_value()}"},
            timeout=httpx.Timeout(ANSWER_SECONDS, connect=CONNECT_SECONDS, pool=POOL_SECONDS),
            limits=httpx.Limits(max_connections=CONNECTIONS_MAX, max_keepalive_connections=CONNECTIONS_MAX),
            transport=transport,
            trust_env=False,
        )

    async def close(self) -> None:
        """Close every connection."""
        await self._http.aclose()

    async def ask(self, redemption: Redemption) -> LedgerAnswer:
        """Ask for what the redemption waits for: the hold, its capture or release, or a refund.

        Raises:
            LedgerUnavailable: no answer; nothing is known, and the same may be asked again.
        """
        here = f"/v1/programs/{redemption.program}/members/{redemption.member}"
        path, key = f"{here}/holds", redemption.id
        match redemption.state:
            case State.RESERVING:
                body: dict[str, object] = {
                    "order": redemption.order,
                    "amount": redemption.points,
                    "ttl_seconds": redemption.ttl_seconds,
                }
                if redemption.money:
                    body["money"] = {"currency": redemption.currency, "amount": redemption.money}
                return await self._post(path, key, body, _stands)
            case State.CAPTURING:
                return await self._post(f"{path}/{key}/capture", f"{key}:capture", {}, _stands)
            case State.CANCELLING:
                return await self._post(f"{path}/{key}/release", f"{key}:release", {}, _stands)
            case State.REFUNDING:
                return await self._refund(here, redemption)
        raise ValueError(f"a redemption that is {redemption.state} waits for nothing")

    async def _refund(self, here: str, redemption: Redemption) -> LedgerAnswer:
        refund = redemption.refunding
        body: dict[str, object] = {"amount": refund.points}
        if refund.money:
            body["money"] = {"currency": redemption.currency, "amount": refund.money}
        # Dots too, or an order named `..` would be taken for a step up the path.
        order = quote(redemption.order, safe="").replace(".", "%2E")
        key = ledger_key(redemption.id, refund.number)
        return await self._post(
            f"{here}/orders/{order}/refunds", key, body, lambda _: RefundStands(refund.number)
        )

    async def _post(
        self, path: str, key: str, body: Mapping[str, object], read: Callable[[Any], LedgerAnswer]
    ) -> LedgerAnswer:
        try:
            response = await self._http.post(path, json=body, headers={"Idempotency-Key": key})
        except httpx.HTTPError as error:
            raise LedgerUnavailable(f"{type(error).__name__}: {error}") from error
        if response.status_code >= 500 or response.status_code in NOT_ABOUT_THE_STEP:
            if response.status_code in (401, 403):
                log.error("the ledger refuses our key: check TALLY_LEDGER_KEY", status=response.status_code)
            raise LedgerUnavailable(f"the ledger answered {response.status_code}")
        try:
            answer = response.json()
            return read(answer) if response.is_success else _refused(answer)
        except (ValueError, KeyError, TypeError) as error:
            # Something that is not our ledger answers there (a proxy, a wrong URL).
            raise LedgerUnavailable(f"the answer {response.status_code} can't be read: {error!r}") from error


def _stands(answer: Any) -> HoldStands:
    """The ledger says when a hold expires as long as it is open."""
    expires_at = answer["expires_at"]
    return HoldStands(
        HOLD_STATES[answer["state"]], datetime.fromisoformat(expires_at) if expires_at else None
    )


def _refused(problem: Any) -> LedgerRefused:
    code = problem["code"]
    if code in ("not_found", "method_not_allowed"):
        raise ValueError("there is no such path at this URL")
    return LedgerRefused(str(code), str(problem["detail"])[:DETAIL_MAX])
