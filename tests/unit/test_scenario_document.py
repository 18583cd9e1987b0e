"""A scenario document: what it may say, and errors that name file, line and field."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta, timezone
from pathlib import Path

import pytest

from services.ops.scenario.load import load_scenario
from services.ops.yaml_document import VALUES_MAX, DocumentError, load

HEAD = "program: grocer\nsteps:\n"


def complaint(folder: Path, text: str) -> str:
    """What is said about a scenario of this text, the folder left out."""
    file = folder / "s.yaml"
    file.write_text(text)
    with pytest.raises(DocumentError) as caught:
        load_scenario(file)
    return str(caught.value).replace(f"{folder}/", "")


def test_a_scenario_reads_as_it_is_written(tmp_path: Path) -> None:
    file = tmp_path / "s.yaml"
    file.write_text(
        HEAD
        + """\
- at: 2026-01-05T10:00:00-05:00
  enroll: {member: ann, identifiers: {card: 0601}}
- purchase: {id: 17, member: ann, lines: [{id: 1, sku: A1, category: food, quantity: 2, amount: 36000}]}
  via: http
  expect: {points: {available: 360}, tier: silver}
- return: {id: r1, of: 17, lines: [{line: 1}]}
- redeem: {id: o1, member: ann, reward: five_off, step: capture}
  expect: {error: insufficient_points}
- advance_to: 2027-07-06
"""
    )
    enroll, purchase, back, redeem, advance = load_scenario(file).scenario.steps
    assert enroll.at == datetime(2026, 1, 5, 10, tzinfo=timezone(timedelta(hours=-5)))
    assert enroll.enroll is not None
    assert enroll.enroll.identifiers == {"card": "0601"}
    assert purchase.via == "http"
    assert purchase.purchase is not None
    assert purchase.purchase.id == "17"
    assert purchase.purchase.lines[0].amount == 36_000
    assert purchase.expect is not None
    assert purchase.expect.model_dump(exclude_unset=True) == {"points": {"available": 360}, "tier": "silver"}
    assert back.return_ is not None
    assert (back.return_.of, back.return_.lines[0].quantity) == ("17", 1)
    assert redeem.redeem is not None
    assert redeem.redeem.step == "capture"
    assert advance.advance_to == date(2027, 7, 6)


def test_a_step_is_named_by_its_number_kind_and_line(tmp_path: Path) -> None:
    file = tmp_path / "s.yaml"
    file.write_text(
        HEAD + "- enroll: {member: ann}\n- at: 2026-01-05\n  hold: {id: h1, member: ann, step: release}\n"
    )
    loaded = load_scenario(file)
    assert loaded.step_name(1) == "step 2 (release hold h1)"
    assert loaded.line_of_step(1) == 4


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (
            HEAD + "- enroll: {member: ann, membr: x}\n",
            "s.yaml:3: steps[1].enroll.membr: is not a word that can stand here",
        ),
        (HEAD + "- enroll: {}\n", "s.yaml:3: steps[1].enroll.member: Field required"),
        (
            HEAD + "- purchase:\n    id: p1\n    member: ann\n    lines:\n    - {id: 1, amount: 1.5}\n",
            "s.yaml:7: steps[1].purchase.lines[1].amount: Input should be a valid integer",
        ),
        (
            HEAD + "- at: 2026-01-05T10:00:00\n  enroll: {member: ann}\n",
            "s.yaml:3: steps[1].at: '2026-01-05T10:00:00' has no zone",
        ),
        (HEAD + "- advance_to: tomorrow\n", "s.yaml:3: steps[1].advance_to: 'tomorrow' is no time"),
        (HEAD + "- quote: {member: ann}\n", "s.yaml:3: steps[1].quote.lines: Field required"),
        (
            HEAD + "- redeem: {id: o1, member: ann, reward: x, step: undo}\n",
            "s.yaml:3: steps[1].redeem.step:",
        ),
        (
            HEAD + "- at: 2026-01-05\n  expect: {quote: {sum: 1}}\n",
            "s.yaml:4: steps[1].expect.quote.sum: is not a word that can stand here",
        ),
        (HEAD + "- via: http\n", "s.yaml:3: steps[1]: nothing happens"),
        (
            HEAD + "- enroll: {member: ann}\n  advance_to: 2027-01-01\n",
            "s.yaml:3: steps[1]: a step is one thing, this one is enroll and advance_to",
        ),
        (HEAD + "- hold: {id: h1, member: a, step: place}\n", "s.yaml:3: steps[1].hold: amount is needed"),
        ("program: grocer\nsteps: []\n", "s.yaml:2: steps: List should have at least 1 item"),
        ("steps:\n- enroll: {member: ann}\n", "s.yaml:1: program: Field required"),
        ("- a\n", "s.yaml:1: a scenario is a mapping"),
        ("", "s.yaml:1: is empty"),
        ("a: [1\n", "s.yaml:2: is not YAML"),
        ("a: 1\nb:\n  c: 1\n  c: 2\n", "s.yaml:4: b.c: stands here twice"),
        ("a: &a [*a]\n", "s.yaml:1: has more than"),
    ],
)
def test_a_wrong_document_gets_an_error_that_names_the_place(
    tmp_path: Path, text: str, expected: str
) -> None:
    assert complaint(tmp_path, text).startswith(expected)


def test_every_complaint_is_told_at_once(tmp_path: Path) -> None:
    told = complaint(tmp_path, HEAD + "- enroll: {}\n- quote: {member: ann}\n")
    assert [line.split(": ")[0] for line in told.splitlines()] == ["s.yaml:3", "s.yaml:4"]


def test_a_file_that_is_not_there_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(DocumentError, match="can't be read"):
        load_scenario(tmp_path / "none.yaml")


def test_decimals_and_times_stay_the_text_that_was_written(tmp_path: Path) -> None:
    file = tmp_path / "d.yaml"
    file.write_text(
        "rate: 1.10\nat: 2026-01-05\ncard: 0123\nhour: 12:30\nanswer: no\nfew: 12\nyes: true\nnone: null\n"
    )
    assert load(file).data == {
        "rate": "1.10",
        "at": "2026-01-05",
        "card": "0123",
        "hour": "12:30",
        "answer": "no",
        "few": 12,
        "yes": True,
        "none": None,
    }


def test_a_document_of_aliases_does_not_grow_without_bound(tmp_path: Path) -> None:
    rows = ["a0: &a0 [1,1,1,1,1,1,1,1,1,1]"]
    rows += [f"a{n}: &a{n} [{','.join([f'*a{n - 1}'] * 10)}]" for n in range(1, 9)]
    (tmp_path / "bomb.yaml").write_text("\n".join(rows))
    with pytest.raises(DocumentError, match=f"more than {VALUES_MAX} values"):
        load(tmp_path / "bomb.yaml")


def test_times_are_aware(tmp_path: Path) -> None:
    file = tmp_path / "s.yaml"
    file.write_text(HEAD + "- advance_to: 2026-03-01T00:00:00Z\n")
    assert load_scenario(file).scenario.steps[0].advance_to == datetime(2026, 3, 1, tzinfo=UTC)
