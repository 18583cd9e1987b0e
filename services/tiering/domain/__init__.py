"""The rules of tiers, without I/O, clock or randomness."""
