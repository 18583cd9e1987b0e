"""The ledger's HTTP: all its routes, and what its refusals are there."""

from __future__ import annotations

from fastapi import APIRouter

from services.ledger.routes import (
    activities,
    adjustments,
    audit,
    batch,
    holds,
    liability,
    members,
    merge,
    money_awards,
    profile,
    programs,
    social,
    stored_value,
)

STATUS_OF = {
    "unknown_program": 404,
    "unknown_member": 404,
    "purchase_unknown": 404,
    "hold_unknown": 404,
    "position_unknown": 404,
    "profile_unknown": 404,
    "identifier_unknown": 404,
    "adjustment_unknown": 404,
    "id_reused": 409,
    "already_merged": 409,
    "merge_too_large": 409,
    "already_enrolled": 409,
    "identifier_taken": 409,
    "insufficient_points": 409,
    "hold_already_captured": 409,
    "hold_already_released": 409,
    "hold_expired": 409,
    "quantity_exceeds_purchase": 409,
    "return_without_purchase": 422,
    "order_unknown": 404,
    "order_already_refunded": 409,
    "amount_exceeds_spend": 409,
    "value_exceeds_spend": 409,
    "exists_with_different_member": 409,
    "exists_with_different_order": 409,
    "exists_with_different_hold": 409,
    "exists_with_different_amount": 409,
    "exists_with_different_money": 409,
    "exists_with_different_ttl": 409,
    "exists_with_different_final": 409,
    "member_suspended": 409,
    "member_already_suspended": 409,
    "member_not_suspended": 409,
    "member_closed": 409,
    "holds_open": 409,
    "stored_value_left": 409,
    "second_person_needed": 409,
    "adjustment_already_applied": 409,
    "adjustment_already_declined": 409,
    "clock_not_ours": 409,
    "top_up_unknown": 404,
    "receiver_unknown": 404,
    "top_up_reversed": 409,
    "top_up_held": 409,
    "balance_limit_exceeded": 409,
    "insufficient_value": 409,
    "stored_value_off": 409,
    "referral_unknown": 404,
    "already_referred": 409,
    "referee_not_new": 409,
    "referral_loop": 409,
    "task_repeated": 409,
    "idempotency_key_mismatch": 400,
}
"""The ledger's refusals in HTTP; all others are 422."""

router = APIRouter()
PARTS = (
    holds, activities, programs, members, social, adjustments, batch, stored_value, money_awards, merge, profile, audit,
    liability,
)  # fmt: skip
# A checkout's holds are looked for first: the framework tries route after route (10 us each).
for part in PARTS:
    router.routes.extend(part.router.routes)
