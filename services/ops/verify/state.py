"""What an interrupted `verify` has done: a line of JSON a chain, so that the next run goes on.

A chain is not read again while its head is what it was. What is changed meanwhile in a chain that has been read is
found by the next whole run, as what is changed behind any reader's back.
"""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any

from services.ops.verify.findings import Finding, Report

Place = tuple[str, int]
"""(service, chain)"""
Head = tuple[int, str]
"""Position and hash (hex) of a chain's last row."""
PLAIN = ("looked", "counts")
"""Counters of a Report by one word; the others are by several."""


class StateUnusable(RuntimeError):
    """The file is of another run, or can't be written; the message says what to do."""


class State:
    """The file of one run."""

    def __init__(self, path: Path, run: dict[str, Any]) -> None:
        """Read the file, or begin it. `run` says what is verified: JSON, the same in the run that is gone on with.

        Raises:
            StateUnusable: the file is of something else.
        """
        self._path = path
        self._done: dict[Place, tuple[Head, Report]] = {}
        try:
            lines = path.read_text().splitlines() if path.exists() else []
            if lines:
                self._read(lines, run)
            # A line that was cut off is gone with this.
            whole = [json.dumps(run), *(_line(place, *done) for place, done in self._done.items())]
            path.write_text("".join(f"{line}\n" for line in whole))
        except OSError as error:
            raise StateUnusable(f"{path} can't be used: {error.strerror}") from error
        except UnicodeDecodeError as error:
            raise StateUnusable(f"{path} is no state of `verify`") from error

    def _read(self, lines: list[str], run: dict[str, Any]) -> None:
        try:
            of = json.loads(lines[0])
        except ValueError as error:
            raise StateUnusable(f"{self._path} is no state of `verify`") from error
        if of != run:
            raise StateUnusable(
                f"{self._path} is of another book, other seals or another version: remove it or name another file"
            )
        for line in lines[1:]:
            try:
                told = json.loads(line)
                head = (told["position"], told["hash"])
                self._done[told["service"], told["chain"]] = (head, _report(told["report"]))
            except (ValueError, KeyError, TypeError):
                # The run was interrupted while it wrote: that chain is read again.
                continue

    def done(self, service: str, chain: int, head: Head) -> Report | None:
        """What came of a chain; None when it was not read, or has gone on since."""
        found = self._done.get((service, chain))
        return found[1] if found is not None and found[0] == head else None

    def add(self, service: str, chain: int, head: Head, report: Report) -> None:
        """Note that a chain was read up to its head. Raises StateUnusable."""
        try:
            with self._path.open("a") as file:
                file.write(_line((service, chain), head, report) + "\n")
        except OSError as error:
            raise StateUnusable(f"{self._path} can't be written: {error.strerror}") from error

    def end(self) -> None:
        """Everything was read: the next run begins anew."""
        self._path.unlink(missing_ok=True)


def _line(place: Place, head: Head, report: Report) -> str:
    told: dict[str, Any] = {"findings": [asdict(finding) for finding in report.findings]}
    for name in _counters():
        counter: Counter[Any] = getattr(report, name)
        told[name] = [[[key] if name in PLAIN else list(key), count] for key, count in counter.items()]
    service, chain = place
    return json.dumps(
        {"service": service, "chain": chain, "position": head[0], "hash": head[1], "report": told}
    )


def _report(told: dict[str, Any]) -> Report:
    report = Report(findings=[Finding(**finding) for finding in told["findings"]])
    for name in _counters():
        counter: Counter[Any] = getattr(report, name)
        for key, count in told[name]:
            counter[key[0] if name in PLAIN else tuple(key)] = count
    return report


def _counters() -> list[str]:
    return [field.name for field in fields(Report) if field.name != "findings"]
