"""Scenario steps as activities: the messages that Kafka takes and the bodies that HTTP takes."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from google.protobuf import json_format
from google.protobuf.timestamp_pb2 import Timestamp

from services.common.codec import JSON
from services.ops.importing.publish import Activity
from services.ops.scenario import model
from tallybook.activities.v1.activities_pb2 import (
    Enrolment,
    Interaction,
    Purchase,
    Referral,
    Return,
    TopUp,
    TopUpReversal,
)


def enrolment(step: model.Enroll, program: str, at: datetime, number: int) -> Enrolment:
    """`number` is the step's; an enrolment in a scenario needs no id of its own."""
    message = Enrolment(
        id=f"enrolment-{number}", program=program, member=step.member, occurred_at=_timestamp(at)
    )
    for kind, value in step.identifiers.items():
        message.identifiers.add(kind=kind, value=value)
    if step.birthday is not None:
        message.profile.birthday = step.birthday.isoformat()
    return message


def purchase(step: model.Purchase, program: str, at: datetime, currency: str) -> Purchase:
    """`currency` is the program's, for a step that names none."""
    message = Purchase(
        id=step.id,
        program=program,
        member=step.member,
        occurred_at=_timestamp(at),
        store=step.store,
        channel=step.channel,
        currency=step.currency or currency,
        payment_method=step.payment_method,
    )
    for line in step.lines:
        message.lines.add(
            id=line.id, sku=line.sku, category=line.category, quantity=line.quantity, amount=line.amount,
            brand=line.brand, discount=line.discount,
        )  # fmt: skip
    return message


def return_(step: model.Return, program: str, at: datetime, member: str) -> Return:
    """`member` is who brings the units back."""
    message = Return(
        id=step.id,
        program=program,
        member=member,
        occurred_at=_timestamp(at),
        of=step.of,
        store=step.store,
        channel=step.channel,
    )
    for line in step.lines:
        message.lines.add(line=line.line, quantity=line.quantity)
    return message


def top_up(step: model.TopUp, program: str, at: datetime, currency: str) -> TopUp:
    """`currency` is the program's, for a step that names none."""
    return TopUp(
        id=step.id,
        program=program,
        member=step.member,
        occurred_at=_timestamp(at),
        store=step.store,
        channel=step.channel,
        currency=step.currency or currency,
        amount=step.amount,
    )


def top_up_reversal(step: model.TopUpReversal, program: str, at: datetime, member: str) -> TopUpReversal:
    """`member` is who is handed the money."""
    return TopUpReversal(
        id=step.id,
        program=program,
        member=member,
        occurred_at=_timestamp(at),
        of=step.of,
        store=step.store,
        channel=step.channel,
    )


def interaction(step: model.Interaction, program: str, at: datetime) -> Interaction:
    """What a member did."""
    return Interaction(
        id=step.id, program=program, member=step.member, occurred_at=_timestamp(at), kind=step.kind,
        content=step.content, channel=step.channel, store=step.store,
    )  # fmt: skip


def referral(step: model.Referral, program: str, at: datetime) -> Referral:
    """A step of a referral."""
    return Referral(
        id=step.id, program=program, member=step.referee, occurred_at=_timestamp(at), referrer=step.referrer,
        step=step.step, task=step.task,
    )  # fmt: skip


def encoded(activity: Activity, content_type: str) -> bytes:
    """The value of a Kafka record, in protobuf or in proto3 JSON."""
    if content_type == JSON:
        return json_format.MessageToJson(activity).encode()
    return activity.SerializeToString()


def http_request(activity: Activity) -> tuple[str, dict[str, Any]]:
    """Path (from the ledger's base URL) and body that say the same as the message."""
    program = f"/v1/programs/{activity.program}"
    at = activity.occurred_at.ToJsonString()
    if isinstance(activity, Enrolment):
        identifiers = [{"kind": known.kind, "value": known.value} for known in activity.identifiers]
        return f"{program}/members", {
            "member": activity.member,
            "identifiers": identifiers,
            "occurred_at": at,
        }
    if isinstance(activity, Referral):
        return f"{program}/referrals", {
            "id": activity.id,
            "member": activity.member,
            "occurred_at": at,
            "referrer": activity.referrer or None,
            "step": activity.step,
            "task": activity.task,
        }
    common = {
        "id": activity.id,
        "member": activity.member,
        "occurred_at": at,
        "store": activity.store,
        "channel": activity.channel,
    }
    if isinstance(activity, TopUp):
        return f"{program}/top_ups", {**common, "currency": activity.currency, "amount": activity.amount}
    if isinstance(activity, TopUpReversal):
        return f"{program}/top_ups/reversals", {**common, "of": activity.of}
    if isinstance(activity, Interaction):
        return f"{program}/interactions", {**common, "kind": activity.kind, "content": activity.content}
    if isinstance(activity, Return):
        lines = [{"line": line.line, "quantity": line.quantity} for line in activity.lines]
        return f"{program}/returns", {**common, "of": activity.of, "lines": lines}
    bought = [
        {
            "id": line.id,
            "sku": line.sku,
            "category": line.category,
            "quantity": line.quantity,
            "amount": line.amount,
            "brand": line.brand,
            "discount": line.discount,
        }
        for line in activity.lines
    ]
    told = {**common, "currency": activity.currency, "payment_method": activity.payment_method}
    return f"{program}/purchases", {**told, "lines": bought}


def _timestamp(at: datetime) -> Timestamp:
    stamp = Timestamp()
    stamp.FromDatetime(at.astimezone(UTC))
    return stamp
