"""An enrolment that was sent without an id is known by its content."""

from __future__ import annotations

from services.common.clock import utc_now
from services.ledger import wire
from services.ledger.consume import command_of
from tallybook.activities.v1.activities_pb2 import Enrolment, Identifier

IDENTIFIERS = wire.Identifiers("k" * 32)
CHAINS = 16


def cause_of(*identifiers: Identifier, id_: str = "") -> tuple[str, bytes | None]:
    enrolment = Enrolment(id=id_, program="club", member="ann", identifiers=identifiers)
    cause = command_of(enrolment, IDENTIFIERS, CHAINS, utc_now()).cause
    return cause.id, cause.digest


CARD = Identifier(kind="card", value="6001")
PHONE = Identifier(kind="phone", value="+15550100")


def test_the_same_enrolment_again_is_the_same_request() -> None:
    assert cause_of(CARD) == cause_of(CARD)


def test_an_enrolment_with_one_more_identifier_is_another_request_and_no_conflict() -> None:
    assert cause_of(CARD)[0] != cause_of(CARD, PHONE)[0]


def test_under_an_id_of_its_own_other_content_is_a_conflict() -> None:
    first, second = cause_of(CARD, id_="e1"), cause_of(CARD, PHONE, id_="e1")
    assert first[0] == second[0] == "e1"
    assert first[1] != second[1]


def test_no_identifier_stands_in_the_id() -> None:
    assert "6001" not in cause_of(CARD)[0]
