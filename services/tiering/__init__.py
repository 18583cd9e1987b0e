"""Tiering: which tier a member has, since when, until when and why, from what the ledger's book says."""
