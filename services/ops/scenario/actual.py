"""What the public APIs say of a member, in the words of a scenario's `expect`."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from services.ops.api import Api, ApiError

STATEMENT_PAGE = 100
STATEMENT_PAGES_MAX = 100


async def look(api: Api, program: str, member: str, expected: Mapping[str, Any]) -> dict[str, Any]:
    """Everything that `expected` names, and as little else as the APIs allow.

    A member that a service does not know has nothing there.
    """
    actual: dict[str, Any] = {}
    here = f"/v1/programs/{program}/members/{member}"
    points = expected.get("points")
    if points is not None or "money" in expected:
        known = await _known(api, "ledger", here)
        actual |= {"points": known.get("points", {}), "money": known.get("money", {})}
        if points is not None and "expired" in points:
            actual["points"]["expired"] = await _expired(api, here)
    if "tier" in expected:
        actual["tier"] = (await _known(api, "tiering", f"{here}/tier")).get("tier")
    if "segments" in expected:
        segments = await _known(api, "tiering", f"{here}/segments")
        actual["segments"] = {**segments, "class_": segments.get("class")}
    if "catalogue" in expected:
        catalogue = await api.get("rewards", f"/v1/programs/{program}/catalogue", member=member)
        actual["catalogue"] = catalogue["rewards"]
    if "turns" in expected:
        actual["turns"] = (await api.get("rewards", f"{here}/draws/turns"))["turns"]
    if "draws" in expected:
        offers = (await api.get("rewards", f"{here}/draws"))["draws"]
        actual["draws"] = {offer["draw"]: offer for offer in offers}
    if {"wallet", "redemptions", "vouchers"}.intersection(expected):
        wallet = await _known(api, "rewards", f"{here}/wallet")
        wallet.setdefault("money", {})
        actual["wallet"] = wallet
        actual["vouchers"] = [
            {**voucher, "expires_at": voucher["expires_at"] and datetime.fromisoformat(voucher["expires_at"])}
            for voucher in wallet.get("vouchers", [])
        ]
        actual["redemptions"] = [
            {**redemption, "id": redemption.get("redemption")} for redemption in wallet.get("redemptions", [])
        ]
    return actual


async def _known(api: Api, service: str, path: str) -> dict[str, Any]:
    try:
        answer: dict[str, Any] = await api.get(service, path)
    except ApiError as error:
        if error.code == "unknown_member":
            return {}
        raise
    return answer


async def _expired(api: Api, here: str) -> int:
    """Points that the member has lost to expiry, by its statement."""
    lost = 0
    losses = ("PointsExpired", "MemberLapsed")
    query: dict[str, str | int] = {"limit": STATEMENT_PAGE}
    for _ in range(STATEMENT_PAGES_MAX):
        page = await api.get("ledger", f"{here}/statement", **query)
        lost += sum(int(entry["points"]) for entry in page["entries"] if entry["type"] in losses)
        if not page["next"]:
            return -lost
        query["after"] = page["next"]
    raise ValueError(f"{here} has more than {STATEMENT_PAGES_MAX * STATEMENT_PAGE} statement entries")
