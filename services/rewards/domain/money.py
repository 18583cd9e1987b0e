"""Stored value of a member, as far as the ledger's stream has told. The ledger decides; this is for looking at."""

from __future__ import annotations

from dataclasses import dataclass

from services.common.errors import InvariantBroken


@dataclass(slots=True, frozen=True)
class MoneyMoved:
    """How much more (or less) a member has in each bucket and holds for orders, minor units."""

    currency: str
    principal: int = 0
    bonus: int = 0
    held: int = 0
    gone: bool = False
    """All of it went to another member, into whom this one was merged."""


@dataclass(slots=True)
class Money:
    """Money of one member in one currency: what was paid in, what was given, and what of both is held."""

    principal: int = 0
    bonus: int = 0
    held: int = 0

    @property
    def available(self) -> int:
        """What an order can be paid with."""
        return self.principal + self.bonus - self.held

    def move(self, moved: MoneyMoved) -> None:
        """Bring it to the moment after `moved`. Raises InvariantBroken for what the ledger can't have said."""
        if moved.gone:
            self.principal = self.bonus = self.held = 0
        self.principal += moved.principal
        self.bonus += moved.bonus
        self.held += moved.held
        if min(self.principal, self.bonus, self.held) < 0:
            raise InvariantBroken(f"the ledger's stream takes more money than there is: {moved}")
