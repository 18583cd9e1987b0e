"""The programs of naive_social.py as parts of documents, and commands made from the wire."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from tallybook.activities.v1 import activities_pb2 as activities
from tests.simulation.naive_social import BUDGET, KINDS, REFERRAL


def _social(version: str) -> dict[str, Any]:
    rules = REFERRAL[version]
    referee = {"points": rules["referee"], **({"task": rules["task"]} if rules["task"] else {})}
    interactions = [
        {"kind": kind, **{name: value for name, value in rule.items() if name != "campaign"}}
        | ({"campaign": "friends"} if "campaign" in rule else {})
        for kind, rule in KINDS.items()
    ]
    return {
        "campaigns": [{"id": "friends", "budget": BUDGET[version]}],
        "interactions": interactions,
        "referrals": {
            "minimum": rules["minimum"],
            "referrer": {"points": rules["referrer"]},
            "referee": referee,
            "caps": rules["caps"],
            "campaign": "friends",
        },
    }


SOCIAL = {version: _social(version) for version in BUDGET}


def interaction_message(id_: str, program: str, member: str, kind: str, content: str, at: datetime) -> Any:
    """An interaction as an app tells it."""
    message = activities.Interaction(id=id_, program=program, member=member, kind=kind, content=content)
    message.occurred_at.FromDatetime(at)
    return message


def referral_message(id_: str, program: str, referee: str, at: datetime, **more: str) -> Any:
    """A step of a referral."""
    message = activities.Referral(id=id_, program=program, member=referee, **more)
    message.occurred_at.FromDatetime(at)
    return message
