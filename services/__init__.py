"""Tallybook: an event-sourced loyalty ledger."""
