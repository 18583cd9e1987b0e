"""A scenario document from a file, or an error that names file, line and field."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from pydantic import ValidationError

from services.ops.scenario.model import Scenario, Step
from services.ops.yaml_document import Document, DocumentError, load

_PYDANTIC_SAYS = "Value error, "


@dataclass(frozen=True, slots=True)
class LoadedScenario:
    """A scenario and where its steps stand."""

    document: Document
    scenario: Scenario

    @property
    def file(self) -> str:
        """The file as it was named."""
        return self.document.file

    def line_of_step(self, index: int) -> int:
        """The line (from 1) of step `index` (from 0)."""
        return self.document.line_of(("steps", index))

    def step_name(self, index: int) -> str:
        """A step as a reader of the document would call it: `step 2 (purchase p1)`."""
        step = self.scenario.steps[index]
        return f"step {index + 1} ({describe(step)})"


def describe(step: Step) -> str:
    """What happens in a step, in a few words."""
    if step.enroll:
        return f"enroll {step.enroll.member}"
    if step.purchase:
        return f"purchase {step.purchase.id}"
    if step.return_:
        return f"return {step.return_.id}"
    if step.interaction:
        return f"interaction {step.interaction.id}"
    if step.referral:
        return f"referral {step.referral.id}"
    if step.hold:
        return f"{step.hold.step} hold {step.hold.id}"
    if step.top_up:
        return f"top_up {step.top_up.id}"
    if step.top_up_reversal:
        return f"top_up_reversal {step.top_up_reversal.id}"
    if step.gift:
        return f"gift {step.gift.id}"
    if step.quote:
        return f"quote {step.quote.member}"
    if step.redeem:
        return f"{step.redeem.step} {step.redeem.id}"
    if step.advance_to:
        return f"advance to {step.advance_to.isoformat()}"
    return f"at {step.at.isoformat()}" if step.at else "expect"


def load_scenario(path: Path) -> LoadedScenario:
    """Read and check a scenario.

    Raises:
        DocumentError: with every complaint on a line of its own.
    """
    document = load(path)
    if not isinstance(document.data, dict):
        raise document.error((), "a scenario is a mapping with `program` and `steps`")
    try:
        scenario = Scenario.model_validate(document.data)
    except ValidationError as error:
        complaints = [
            document.error(_place(document, problem["loc"]), _message(problem["msg"], problem["type"]))
            for problem in error.errors()
        ]
        first, *others = complaints
        rest = "".join(f"\n{complaint}" for complaint in others)
        raise DocumentError(first.file, first.line, first.field, first.message + rest) from None
    return LoadedScenario(document, scenario)


def _place(document: Document, location: tuple[str | int, ...]) -> tuple[str | int, ...]:
    """Where pydantic complains, less the parts that are its own (the names of a union's branches)."""
    place: tuple[str | int, ...] = ()
    for part in location:
        inside = (*place, part)
        if inside in document.lines or part == location[-1]:
            place = inside
    return place


def _message(message: str, type_: str) -> str:
    if type_ == "extra_forbidden":
        return "is not a word that can stand here"
    return message.removeprefix(_PYDANTIC_SAYS)
