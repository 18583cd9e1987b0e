"""Asks the ledger over HTTP: holds, captures, releases, refunds. Every request may be sent again: it counts once."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any
from urllib.parse import quote

import httpx
import structlog
from pydantic import SecretStr

from services.rewards.domain.awards import REASON, Award, LedgerDenied, LedgerGave, request_of
from services.rewards.domain.decide import HoldStands, HoldState, LedgerAnswer, LedgerRefused, RefundStands
from services.rewards.domain.draws import Turn
from services.rewards.domain.redemption import Redemption, State
from services.rewards.domain.refunds import ledger_key
from services.rewards.domain.value_sales import award_of

log = structlog.get_logger("ledger_client")

CONNECT_SECONDS = 2.0
ANSWER_SECONDS = 5.0
"""Both together, with the wait for a connection, stay well below a step's lease (store.LEASE_SECONDS)."""
POOL_SECONDS = 2.0
PREVIEW_SECONDS = 0.5
CONNECTIONS_MAX = 50
DETAIL_MAX = 500
NOTE_MAX = 200

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

    def __init__(
        self,
        url: str,
        key: SecretStr,
        transport: httpx.AsyncBaseTransport | None = None,
        answer_seconds: float = ANSWER_SECONDS,
    ) -> None:
        self._url = url.rstrip("/")
        timeout = httpx.Timeout(answer_seconds, connect=CONNECT_SECONDS, pool=POOL_SECONDS)
        self._extensions = {"timeout": timeout.as_dict()}
        self._authorization = f"Bearer {key.get_secret_value()}"
        # The transport without httpx's client around it, which redirects, authenticates and keeps cookies for nobody
        # here: a request takes a third less CPU.
        self._transport = transport or httpx.AsyncHTTPTransport(
            limits=httpx.Limits(max_connections=CONNECTIONS_MAX, max_keepalive_connections=CONNECTIONS_MAX),
            trust_env=False,
        )

    async def close(self) -> None:
        """Close every connection."""
        await self._transport.aclose()

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

    async def look(self, redemption: Redemption) -> LedgerAnswer:
        """How the hold of a redemption stands. One that the ledger does not know holds nothing any more.

        Raises:
            LedgerUnavailable: no answer.
        """
        here = f"/v1/programs/{redemption.program}/members/{redemption.member}/holds/{redemption.id}"
        status, answer = await self._send("GET", here)
        if status >= 300:
            refused = _refused(answer)
            return HoldStands("expired") if refused.code == "hold_unknown" else refused
        return _stands(answer)

    async def give(self, award: Award) -> LedgerGave | LedgerDenied:
        """Have the ledger give what was promised. The id there is the award's own, so that it is given once.

        Raises:
            LedgerUnavailable: no answer; nothing is known, and the same may be asked again.
        """
        return await (self._give_money(award) if award.money else self._give_points(award))

    async def _give_money(self, award: Award) -> LedgerGave | LedgerDenied:
        path = f"/v1/programs/{award.program}/members/{award.member}/money_awards"
        body = {"currency": award.currency, "amount": award.money}
        status, answer = await self._send("POST", path, award.request, body)
        if status >= 300:
            refused = _refused(answer)
            return LedgerDenied(refused.code, refused.detail)
        return LedgerGave()

    async def _give_points(self, award: Award) -> LedgerGave | LedgerDenied:
        """Points are given by an adjustment."""
        path = f"/v1/programs/{award.program}/members/{award.member}/adjustments"
        body = {
            "points": award.points,
            "reason": REASON,
            "note": f"{award.source} {award.source_id}"[:NOTE_MAX],
        }
        status, answer = await self._send("POST", path, award.request, body)
        if status >= 300 and answer.get("code") == "id_reused":
            # Our own key was another one when we asked first: the id is ours, so it is the same adjustment.
            status, answer = await self._send("GET", f"{path}/{award.request}")
        if status >= 300:
            refused = _refused(answer)
            return LedgerDenied(refused.code, refused.detail)
        if answer.get("state") != "applied":
            return LedgerDenied(
                "second_person_needed", "the ledger waits for a second person: ops decides there"
            )
        return LedgerGave()

    async def birthday(self, program: str, member: str) -> tuple[int, int] | None:
        """(month, day) of a member's birthday; None: the ledger knows none.

        Raises:
            LedgerUnavailable: no answer.
        """
        status, answer = await self._send("GET", f"/v1/programs/{program}/members/{member}/birthday")
        if status >= 300 or answer.get("month") is None or answer["member"] != member:
            return None  # No profile, none with a birthday, or it is that of whom the member was merged into.
        return int(answer["month"]), int(answer["day"])

    async def would_earn(self, program: str, body: Mapping[str, object]) -> int | LedgerRefused:
        """Points that a purchase would earn (`body`: the ledger's PreviewBody); nothing is recorded.

        Raises:
            LedgerUnavailable: no answer within `PREVIEW_SECONDS`: somebody waits at a checkout.
        """
        try:
            async with asyncio.timeout(PREVIEW_SECONDS):
                status, answer = await self._send(
                    "POST", f"/v1/programs/{program}/purchases/preview", body=body
                )
        except TimeoutError as error:
            raise LedgerUnavailable(f"no answer within {PREVIEW_SECONDS} s") from error
        try:
            return int(answer["points"]) if status < 300 else _refused(answer)
        except (ValueError, KeyError, TypeError) as error:
            raise LedgerUnavailable(f"the answer {status} can't be read: {error!r}") from error

    async def pay(self, turn: Turn, hold: str) -> LedgerGave | LedgerDenied:
        """Have the ledger spend the points of a turn: a hold, captured at once.

        Raises:
            LedgerUnavailable: no answer; nothing is known, and the same may be asked again.
        """
        path = f"/v1/programs/{turn.program}/members/{turn.member}/holds"
        placed = await self._post(path, hold, {"order": hold, "amount": turn.points}, _stands)
        if isinstance(placed, LedgerRefused):
            return LedgerDenied(placed.code, placed.detail)
        captured = await self._post(f"{path}/{hold}/capture", f"{hold}:capture", {}, _stands)
        if isinstance(captured, LedgerRefused) and captured.code != "hold_already_captured":
            return LedgerDenied(captured.code, captured.detail)
        return LedgerGave()

    async def _refund(self, here: str, redemption: Redemption) -> LedgerAnswer:
        """Take back the stored value that the reward was, where it was that; then give back what was paid."""
        refund = redemption.refunding
        key = ledger_key(redemption.id, refund.number)
        stands = RefundStands(refund.number)
        if refund.value:
            path = f"{here}/money_awards/{request_of(award_of(redemption))}/take_back"
            body: dict[str, object] = {"currency": redemption.currency, "amount": refund.value}
            taken = await self._post(path, f"{key}:value", body, lambda _: stands)
            if taken != stands or not (refund.points or refund.money):
                return taken
        body = {"amount": refund.points}
        if refund.money:
            body["money"] = {"currency": redemption.currency, "amount": refund.money}
        # Dots too, or an order named `..` would be taken for a step up the path.
        order = quote(redemption.order, safe="").replace(".", "%2E")
        return await self._post(f"{here}/orders/{order}/refunds", key, body, lambda _: stands)

    async def _post(
        self, path: str, key: str, body: Mapping[str, object], read: Callable[[Any], LedgerAnswer]
    ) -> LedgerAnswer:
        status, answer = await self._send("POST", path, key, body)
        try:
            return read(answer) if status < 300 else _refused(answer)
        except (ValueError, KeyError, TypeError) as error:
            raise LedgerUnavailable(f"the answer {status} can't be read: {error!r}") from error

    async def _send(
        self, method: str, path: str, key: str = "", body: Mapping[str, object] | None = None
    ) -> tuple[int, Any]:
        """(status, content) of an answer about the step, good or bad. Raises LedgerUnavailable for every other."""
        headers = {"Authorization": self._authorization} | ({"Idempotency-Key": key} if key else {})
        request = httpx.Request(
            method, self._url + path, headers=headers, json=body, extensions=self._extensions
        )
        try:
            response = await self._transport.handle_async_request(request)
            try:
                await response.aread()
            finally:
                await response.aclose()
        except httpx.HTTPError as error:
            raise LedgerUnavailable(f"{type(error).__name__}: {error}") from error
        if response.status_code >= 500 or response.status_code in NOT_ABOUT_THE_STEP:
            if response.status_code in (401, 403):
                log.error("the ledger refuses our key: check TALLY_LEDGER_KEY", status=response.status_code)
            raise LedgerUnavailable(f"the ledger answered {response.status_code}")
        try:
            answer = response.json()
            if not response.is_success:
                _refused(answer)
        except (ValueError, KeyError, TypeError) as error:
            # Something that is not our ledger answers there (a proxy, a wrong URL).
            raise LedgerUnavailable(f"the answer {response.status_code} can't be read: {error!r}") from error
        return response.status_code, answer


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
