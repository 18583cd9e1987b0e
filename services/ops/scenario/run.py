"""Runs a scenario through the real services, step by step, and compares what it expects with what is.

Every scenario runs a program of its own (the document's, under another id), so scenarios don't see each other.
After each step the services are given time to become level: what a step shows does not depend on who was faster.
"""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time
from pathlib import Path
from time import monotonic
from typing import Any
from zoneinfo import ZoneInfo

from aiokafka import AIOKafkaProducer

from services.common.chain import chain_of
from services.common.codec import JSON, PROTOBUF, activity_headers
from services.ops import programs
from services.ops.api import Api, ApiError
from services.ops.importing.publish import Activity, topic_of
from services.ops.level import LevelGauge
from services.ops.scenario import activities, model
from services.ops.scenario.actual import look
from services.ops.scenario.compare import Difference, differences
from services.ops.scenario.load import LoadedScenario
from services.ops.scenario.quote_words import quote_body
from services.ops.scenario.redeem_steps import RedeemSteps
from services.ops.scenario.refusals import Refusals, Refused
from services.ops.scenario.voucher_steps import VoucherSteps
from services.ops.yaml_document import DocumentError

LEVEL_SECONDS = 30.0
"""How long the services may take to become level after one step."""

BUSY_SECONDS = 0.1
"""Between two questions whether a run of tiering's own is over."""

SOURCE = "tallybook/scenario"
SUFFIX_BYTES = 4


@dataclass(frozen=True, slots=True)
class StepResult:
    """What a step showed: no differences when all is as expected."""

    index: int
    differences: list[Difference]


@dataclass(slots=True)
class _Now:
    """Where a run is: the business time of its steps, the program's clock, and what it has named so far."""

    at: datetime | None = None
    clock: datetime | None = None
    member: str | None = None
    quote: dict[str, Any] = field(default_factory=dict)
    members_of_purchases: dict[str, str] = field(default_factory=dict)
    members_of_top_ups: dict[str, str] = field(default_factory=dict)


class ScenarioRun:
    """One run of one scenario: `await run(...)` once."""

    def __init__(
        self,
        loaded: LoadedScenario,
        api: Api,
        producer: AIOKafkaProducer,
        gauge: LevelGauge,
        refusals: Refusals,
    ) -> None:
        self._loaded = loaded
        self._api = api
        self._producer = producer
        self._gauge = gauge
        self._refusals = refusals
        self._now = _Now()
        self._document = _program_document(loaded)
        self._program = str(self._document["program"])
        self._zone = _zone(self._document)
        self._vouchers = VoucherSteps(api, self._program)
        self._redemptions = RedeemSteps(api, self._program, self._vouchers)
        self._currency = str(self._document.get("ledger", {}).get("currency", ""))

    async def run(self, on_step: Callable[[int], None] = lambda _: None) -> list[StepResult]:
        """Take every step. A step that is not as expected does not end the run: the next ones may say why.

        Raises:
            DocumentError: the ledger refuses the program.
            NotLevelError, UnreachableError: the services don't do their work.
        """
        await self._activate()
        results = []
        for index, step in enumerate(self._loaded.scenario.steps):
            on_step(index)
            results.append(StepResult(index, await self._take(index, step)))
        return results

    async def _activate(self) -> None:
        try:
            await programs.activate(self._api, self._document)
        except ApiError as error:
            if isinstance(self._loaded.scenario.program, str):
                raise DocumentError(self._loaded.file, 1, "program", error.detail) from error
            # The detail begins with the field, such as `ledger.earning.rounding: must be ...`.
            place = ("program", *error.detail.partition(":")[0].split("."))
            raise self._loaded.document.error(place, error.detail) from error
        await self._gauge.wait(LEVEL_SECONDS)

    async def _take(self, index: int, step: model.Step) -> list[Difference]:
        refused: ApiError | Refused | None = None
        try:
            if await self._move_to(step.advance_to or step.at) and step.acts:
                # What falls due by then is over before the step begins.
                await self._gauge.wait(LEVEL_SECONDS)
            await self._do(index, step)
        except ApiError as error:
            refused = error
        await self._gauge.wait(LEVEL_SECONDS)
        told = await self._refusals.new(self._program)
        refused = refused or next(iter(told), None)
        expected = step.expect.model_dump(exclude_unset=True) if step.expect else {}
        wanted = expected.pop("error", None)
        found = []
        if wanted != (refused and refused.code):
            actual_error = refused and f"{refused.code} ({refused.detail})"
            found.append(Difference("error", wanted, actual_error))
        member = expected.pop("member", None) or self._now.member
        if expected:
            if member is None:
                return [*found, Difference("member", "a step that names one, or expect.member", None)]
            actual = await look(self._api, self._program, member, expected)
            actual["quote"] = self._now.quote
            found += differences(expected, actual)
        return found

    async def _move_to(self, moment: datetime | date | None) -> bool:
        """The steps from here on happen at `moment`; the program's clock follows (True), but never goes back."""
        if moment is None:
            return False
        at = self._time(moment)
        self._now.at = at
        if self._now.clock is not None and at <= self._now.clock:
            return False
        stamp = at.astimezone(UTC).isoformat().replace("+00:00", "Z")
        await self._api.post("ledger", f"/v1/programs/{self._program}/clock", {"to": stamp})
        self._now.clock = at
        return True

    def _time(self, moment: datetime | date) -> datetime:
        if isinstance(moment, datetime):
            return moment
        return datetime.combine(moment, time.min, tzinfo=self._zone)

    async def _do(self, index: int, step: model.Step) -> None:
        request = f"step-{index + 1}"
        if step.hold is not None:
            self._now.member = step.hold.member
            await self._hold(step.hold, request)
        elif step.voucher is not None:
            self._now.member = step.voucher.member
            await self._vouchers.take(step.voucher, request)
        elif step.draw is not None:
            self._now.member = step.draw.member
            path = f"/v1/programs/{self._program}/members/{step.draw.member}/draws"
            body = {"draw": step.draw.draw, "pay": step.draw.pay}
            await self._api.post("rewards", path, body, idempotency_key=step.draw.id)
        elif step.quote is not None:
            self._now.member = step.quote.member
            path = f"/v1/programs/{self._program}/quotes"
            self._now.quote = await self._api.post("rewards", path, quote_body(step.quote, self._now.at))
        elif step.redeem is not None:
            self._now.member = step.redeem.member
            await self._redemptions.take(step.redeem, request)
        elif step.gift is not None:
            self._now.member = step.gift.member
            await self._gift(step.gift)
        elif step.tag is not None:
            self._now.member = step.tag.member
            await self._tag(step.tag)
        elif step.segment_run is not None:
            await self._run_over_all("segment_runs", step.segment_run.id)
        elif step.merge is not None:
            merge = step.merge
            self._now.member = merge.member
            path = f"/v1/programs/{self._program}/members/{merge.member}/merge"
            await self._api.post("ledger", path, {"member": merge.absorbed}, idempotency_key=merge.id)
        elif step.ranking is not None:
            await self._run_over_all("rankings", step.ranking.id)
        else:
            activity = self._activity(index, step)
            if activity is not None:
                self._now.member = activity.member
                await self._send(activity, step.via)

    async def _run_over_all(self, kind: str, key: str) -> None:
        """Ask for a run over all members. Tiering makes those that are due by itself: then it asks to come again."""
        ends = monotonic() + LEVEL_SECONDS
        while True:
            try:
                await self._api.post(
                    "tiering", f"/v1/programs/{self._program}/{kind}", {}, idempotency_key=key
                )
            except ApiError as refused:
                if refused.code != "run_in_progress" or monotonic() > ends:
                    raise
            else:
                return
            await asyncio.sleep(BUSY_SECONDS)

    def _activity(self, index: int, step: model.Step) -> Activity | None:
        happens = (
            step.enroll
            or step.purchase
            or step.return_
            or step.interaction
            or step.referral
            or step.top_up
            or step.top_up_reversal
        )
        if happens is None:
            return None
        at = self._now.at
        if at is None:
            raise self._error(index, "has no time: name `at` here or in a step before it")
        if step.enroll is not None:
            return activities.enrolment(step.enroll, self._program, at, index + 1)
        if step.purchase is not None:
            self._now.members_of_purchases[step.purchase.id] = step.purchase.member
            return activities.purchase(step.purchase, self._program, at, self._currency)
        if step.top_up is not None:
            self._now.members_of_top_ups[step.top_up.id] = step.top_up.member
            return activities.top_up(step.top_up, self._program, at, self._currency)
        if step.top_up_reversal is not None:
            undone = step.top_up_reversal
            member = undone.member or self._now.members_of_top_ups.get(undone.of)
            if member is None:
                raise self._error(index, f"no step before has top-up {undone.of!r}: name the member")
            return activities.top_up_reversal(undone, self._program, at, member)
        if step.interaction is not None:
            return activities.interaction(step.interaction, self._program, at)
        if step.referral is not None:
            return activities.referral(step.referral, self._program, at)
        assert step.return_ is not None  # noqa: S101  the only one left
        member = step.return_.member or self._now.members_of_purchases.get(step.return_.of)
        if member is None:
            raise self._error(index, f"no step before has purchase {step.return_.of!r}: name the member")
        return activities.return_(step.return_, self._program, at, member)

    def _error(self, index: int, message: str) -> DocumentError:
        return self._loaded.document.error(("steps", index), message)

    async def _send(self, activity: Activity, via: str) -> None:
        if via == "http":
            path, body = activities.http_request(activity)
            await self._api.post("ledger", path, body, idempotency_key=activity.id)
            return
        endpoints = self._api.endpoints
        kind = JSON if via == "kafka_json" else PROTOBUF
        await self._producer.send_and_wait(
            endpoints.topic_prefix + topic_of(activity),
            activities.encoded(activity, kind),
            key=activity.member.encode(),
            partition=chain_of(activity.member, endpoints.chains),
            headers=activity_headers(activity.DESCRIPTOR.full_name, SOURCE, activity.id, kind),
        )

    async def _hold(self, hold: model.Hold, request: str) -> None:
        holds = f"/v1/programs/{self._program}/members/{hold.member}/holds"
        money = None if hold.money is None else {"currency": self._currency, "amount": hold.money}
        if hold.step == "place":
            body = _given(
                order=hold.order or hold.id, amount=hold.amount, money=money, ttl_seconds=hold.ttl_seconds
            )
            await self._api.post("ledger", holds, body, idempotency_key=hold.id)
        else:
            if hold.step == "release":
                money = None
            amount = None if hold.step == "release" else hold.amount
            body = _given(amount=amount, money=money, final=hold.final)
            path = f"{holds}/{hold.id}/{hold.step}"
            if hold.step == "refund":
                path = f"/v1/programs/{self._program}/members/{hold.member}/orders/{hold.order or hold.id}/refunds"
            await self._api.post("ledger", path, body, idempotency_key=request)

    async def _gift(self, gift: model.Gift) -> None:
        path = f"/v1/programs/{self._program}/members/{gift.member}/gifts"
        body = {"to": gift.to, "amount": gift.amount, "currency": gift.currency or self._currency}
        await self._api.post("ledger", path, body, idempotency_key=gift.id)

    async def _tag(self, tag: model.Tag) -> None:
        path = f"/v1/programs/{self._program}/members/{tag.member}/tags"
        body = {"tag": tag.tag, "set": tag.set, "reason": tag.reason}
        await self._api.post("tiering", path, body, idempotency_key=tag.id)


def _given(**values: Any) -> dict[str, Any]:
    return {name: value for name, value in values.items() if value is not None}


def _program_document(loaded: LoadedScenario) -> dict[str, Any]:
    """The scenario's program under an id of its own, on a clock that the steps move."""
    named = loaded.scenario.program
    if isinstance(named, str):
        try:
            document = programs.load_program(programs.find_program(named, Path(loaded.file).parent)).data
        except DocumentError as error:
            raise loaded.document.error(("program",), str(error)) from error
    else:
        document = named
    program = f"{document.get('program', 'scenario')}-{secrets.token_hex(SUFFIX_BYTES)}"
    return {**document, "program": program, "clock": "events"}


def _zone(document: dict[str, Any]) -> ZoneInfo:
    try:
        return ZoneInfo(str(document.get("time_zone", "UTC")))
    except (KeyError, ValueError):
        return ZoneInfo("UTC")  # the ledger refuses the document and says why
