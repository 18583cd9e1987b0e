"""The ledger's HTTP: all its routes, and what its refusals are there."""

from __future__ import annotations

from fastapi import APIRouter

from services.ledger.routes import activities, holds, members, merge, profile, programs

STATUS_OF = {
    "unknown_program": 404,
    "unknown_member": 404,
    "purchase_unknown": 404,
    "hold_unknown": 404,
    "profile_unknown": 404,
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
    "clock_not_ours": 409,
    "idempotency_key_mismatch": 400,
}
"""The ledger's refusals in HTTP; all others are 422."""

router = APIRouter()
for part in (programs, members, activities, holds, merge, profile):
    router.include_router(part.router)
