"""The forms of what the HTTP API is told."""

from __future__ import annotations

KEY = r"^[A-Za-z0-9_.:-]{1,100}$"
PROGRAM = r"^[a-z0-9][a-z0-9_-]{0,63}$"
MEMBER = r"^[A-Za-z0-9_.-]{1,64}$"
ORDER = r"^[ -~]{1,128}$"
VOUCHER = r"^[0-9a-f]{24}$"
TEXT = r"^[^\x00]{0,200}$"
QUANTITY_MAX = 10**9
