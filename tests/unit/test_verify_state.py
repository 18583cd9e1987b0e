"""What an interrupted `verify` leaves, and what the next one takes of it."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

from services.ops.verify.findings import Finding, Report
from services.ops.verify.state import State, StateUnusable

RUN = {"verify": 1, "seals": ["ab"]}
REPORT = Report(
    Counter({"chain": 3}),
    Counter({"L1": 1}),
    [Finding("L1", "ledger", 3, "postings 3-1", "is missing"), Finding("chain", "ledger", None, "a", "b")],
    Counter({("grocer", "points"): -5}),
    Counter({("grocer", "spring"): 7}),
    Counter({("grocer", "wheel", "budget"): 2}),
    Counter({("grocer", "2026-01-01", "0a"): 1}),
    Counter({("grocer", "2026-01-01"): 9}),
    Counter({("grocer", "2026-01-01"): 1}),
)


def test_a_report_comes_back_as_it_was_while_the_chain_has_not_gone_on(tmp_path: Path) -> None:
    path = tmp_path / "state"
    State(path, RUN).add("ledger", 3, (9, "aa"), REPORT)
    for _ in range(2):
        state = State(path, RUN)
        assert state.done("ledger", 3, (9, "aa")) == REPORT
    assert state.done("ledger", 3, (10, "bb")) is None
    assert state.done("ledger", 3, (9, "bb")) is None
    assert state.done("tiering", 3, (9, "aa")) is None
    state.end()
    assert not path.exists()


def test_a_line_that_was_cut_off_is_read_again_and_the_others_are_kept(tmp_path: Path) -> None:
    path = tmp_path / "state"
    state = State(path, RUN)
    state.add("ledger", 1, (5, "aa"), REPORT)
    state.add("ledger", 2, (6, "bb"), REPORT)
    path.write_text(path.read_text()[:-20])
    state = State(path, RUN)
    assert state.done("ledger", 1, (5, "aa")) == REPORT
    assert state.done("ledger", 2, (6, "bb")) is None
    state.add("ledger", 2, (6, "bb"), REPORT)
    assert State(path, RUN).done("ledger", 2, (6, "bb")) == REPORT


def test_a_file_of_another_run_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "state"
    State(path, RUN).add("ledger", 1, (5, "aa"), REPORT)
    before = path.read_text()
    with pytest.raises(StateUnusable, match="another book"):
        State(path, {**RUN, "seals": []})
    assert path.read_text() == before


@pytest.mark.parametrize("content", ["hello", "[1]", "\udcff"], ids=repr)
def test_what_is_no_state_is_left_alone(tmp_path: Path, content: str) -> None:
    path = tmp_path / "state"
    path.write_bytes(content.encode(errors="surrogateescape"))
    with pytest.raises(StateUnusable):
        State(path, RUN)
    assert path.read_bytes() == content.encode(errors="surrogateescape")
    with pytest.raises(StateUnusable, match="can't be used"):
        State(tmp_path, RUN)
