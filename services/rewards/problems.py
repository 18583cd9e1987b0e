"""Refusals in HTTP: the one table of their statuses. Codes that are not here are 422, common ones are in common."""

from __future__ import annotations

STATUS = {
    "unknown_program": 404,
    "unknown_member": 404,
    "unknown_reward": 404,
    "unknown_redemption": 404,
    "id_reused": 409,
    "insufficient_points": 409,
    "member_suspended": 409,
    "member_closed": 409,
    "redemption_not_reserved": 409,
    "redemption_being_captured": 409,
    "redemption_being_cancelled": 409,
    "redemption_timed_out": 409,
    "redemption_refused": 409,
    "already_captured": 409,
    "already_cancelled": 409,
    # The ledger's, where the redemption's hold is not what it should be.
    "hold_unknown": 409,
    "amount_exceeds_hold": 409,
    "exists_with_different_member": 409,
    "exists_with_different_order": 409,
    "exists_with_different_amount": 409,
    "exists_with_different_ttl": 409,
}
