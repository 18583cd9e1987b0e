"""The ways in which something can go wrong, apart from a refusal by a rule.

A refusal by a rule is a `Refusal`: expected, typed by its `code`, recorded, and told to the caller.
"""

from __future__ import annotations


class Refusal(Exception):
    """A command that the rules refuse; nothing has changed. `code` is stable, `detail` tells what to do."""

    def __init__(self, code: str, detail: str) -> None:
        super().__init__(f"{code}: {detail}")
        self.code = code
        self.detail = detail


class Undecodable(Exception):
    """A record that can't be read as the message it says it is. It goes to the dead letters."""


class Fenced(Exception):
    """This process no longer owns the partition (or the record was already taken): nothing was written."""


class BeginAgain(Exception):
    """The transaction has learnt what it must be begun with; nothing was written. It succeeds when tried again."""


class InvariantBroken(Exception):
    """Something that cannot be, is. The process stops, so that nothing is built on it."""
