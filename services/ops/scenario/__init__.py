"""Scenarios: what a program promises, as documents that run against the real services on a clock of their own."""
