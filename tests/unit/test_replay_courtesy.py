"""A replay rests beside a service that is at work, and only then."""

from __future__ import annotations

import pytest

from services.ops.replay.courtesy import AT_WORK_ROWS, LOOK_SECONDS, RESTS, Courtesy


class Machine:
    """Time that passes by work and by rests, while a service writes so many rows a second."""

    def __init__(self, rows_a_second: int) -> None:
        self.rows_a_second = rows_a_second
        self.rows = 1_000_000.0
        self.seconds = 100.0
        self.rests: list[float] = []
        self.courtesy = Courtesy(self.written, self.now, self.sleep)

    def now(self) -> float:
        return self.seconds

    async def written(self) -> int:
        return int(self.rows)

    async def sleep(self, seconds: float) -> None:
        self.rests.append(seconds)
        self.pass_by(seconds)

    def pass_by(self, seconds: float) -> None:
        self.seconds += seconds
        self.rows += seconds * self.rows_a_second

    async def work(self, *stretches: float) -> None:
        """Work in stretches of so many seconds, with the occasion to rest behind each."""
        for seconds in stretches:
            self.pass_by(seconds)
            await self.courtesy.rest()


@pytest.mark.parametrize("rows_a_second", [0, AT_WORK_ROWS])
async def test_beside_a_service_that_hardly_writes_there_is_no_rest(rows_a_second: int) -> None:
    machine = Machine(rows_a_second)
    await machine.work(1, 1, 1)
    assert machine.rests == []


async def test_beside_a_service_at_work_each_stretch_is_followed_by_its_rest() -> None:
    machine = Machine(AT_WORK_ROWS * 10)
    await machine.work(0.125, 1, 2)
    assert machine.rests == [1.125 * RESTS, 2 * RESTS]


async def test_short_stretches_rest_together() -> None:
    machine = Machine(AT_WORK_ROWS * 10)
    await machine.work(*[LOOK_SECONDS / 4] * 9)
    assert machine.rests == [LOOK_SECONDS * RESTS] * 2


async def test_when_the_service_has_done_its_work_the_replay_goes_on_at_once() -> None:
    machine = Machine(AT_WORK_ROWS * 10)
    await machine.work(1, 1)
    machine.rows_a_second = 0
    # What was written during the rest is seen at the next look; from then on nothing is.
    await machine.work(1, 1, 1)
    assert machine.rests == [RESTS, RESTS]
