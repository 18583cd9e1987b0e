"""The rows of profiles, erasures and parked activities, read for what they say."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Sequence
from typing import Any

from services.ops.verify.ledger_state import LedgerState, MemberKey, MemberRead

Posting = tuple[str, str, str, str, int, int | None]


class PeopleRows:
    """A part of LedgerJournal."""

    state: LedgerState

    @abstractmethod
    def _member(self, row: Any) -> tuple[MemberKey, MemberRead | None]: ...

    @abstractmethod
    def _wrong(self, check: str, row: Any, what: str) -> None: ...

    def people_readers(self) -> dict[str, Callable[[Any, Any], Sequence[Posting]]]:
        """Who reads which type."""
        return {
            "ProfileChanged": self._profile,
            "MemberErased": self._erased,
            "ActivityParked": self._kept,
            "ActivityUnparked": self._applied,
        }

    def _profile(self, row: Any, message: Any) -> Sequence[Posting]:
        key, member = self._member(row)
        if member is not None:
            self.state.profiles[key] = message.sealed
        return ()

    def _erased(self, row: Any, message: Any) -> Sequence[Posting]:
        key, _ = self._member(row)
        self.state.profiles.pop(key, None)
        for identifier in message.identifiers:
            if self.state.identifiers.pop((key[0], identifier.hash), None) != (identifier.kind, key[1]):
                self._wrong("tables", row, f"forgets a {identifier.kind} that was not its own")
        return ()

    def _kept(self, row: Any, message: Any) -> Sequence[Posting]:
        self.state.waiting[row["position"]] = (row["program"], message.reference, None, None, None, None)
        return ()

    def _applied(self, row: Any, message: Any) -> Sequence[Posting]:
        program, reference, member, *_ = self.state.waiting.get(message.parked, ("", "", ""))
        if program != row["program"] or member is not None:
            self._wrong("tables", row, f"nothing waits at {message.parked}")
        became = (message.member, message.chain, message.position, message.rejection)
        self.state.waiting[message.parked] = (row["program"], reference, *became)
        return ()
