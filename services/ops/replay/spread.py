"""Sets right the tables that no chain has for itself (docs/decisions/replay.md).

A row of these is written under the lock of whichever chain has a part in it, so there is no lock under which one
chain's part could be exchanged. But a service moves such a row by the same step by which its journal moves it; so what
it was wrong by at the moment of the comparison, it is wrong by at every later one, and can be set right at any time.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from services.ops.replay.digest import Compared, Shape
from services.ops.verify.snapshot import Connection

Row = dict[str, Any]
Key = tuple[Any, ...]


async def mend_spread(
    live: Connection, build: Connection, schema: str, shapes: Sequence[Shape], wrong: Sequence[Compared]
) -> dict[str, int]:
    """Correct the live rows that differ. Returns how many, by table.

    `live` is still at the moment of the comparison, `build` writes and is in no transaction.
    """
    keys = {shape.table: shape.key for shape in shapes}
    mended: dict[str, int] = {}
    async with build.transaction():
        # In one order, as the services lock such rows, so that nobody waits in a ring.
        for part in sorted(wrong, key=lambda part: (part.table, part.chain)):
            key = keys[part.table]
            were = await _rows(live, "public", part, key)
            should = await _rows(build, schema, part, key)
            for place in sorted(were.keys() | should.keys()):
                if were.get(place) != should.get(place):
                    await _mend(build, part.table, key, were.get(place), should.get(place))
                    mended[part.table] = mended.get(part.table, 0) + 1
    return mended


async def _rows(connection: Connection, schema: str, part: Compared, key: tuple[str, ...]) -> dict[Key, Row]:
    query = f"SELECT * FROM {schema}.{part.table} WHERE chain = $1"  # noqa: S608 - our own names
    rows = await connection.fetch(query, part.chain)
    return {tuple(row[column] for column in key): dict(row) for row in rows}


async def _mend(
    build: Connection, table: str, key: tuple[str, ...], was: Row | None, should: Row | None
) -> None:
    """One row: a count by what it was wrong by; anything else only where it still is what it was."""
    row = should or was or {}
    columns = [column for column in row if column not in key]
    here = " AND ".join(f"{column} = ${n}" for n, column in enumerate(key, 1))
    place = [row[column] for column in key]
    counts = all(isinstance(row[column], int) for column in columns)
    if was and not (should and counts):
        same = " AND ".join(f"{column} = ${len(key) + n}" for n, column in enumerate(columns, 1))
        gone = await build.execute(
            f"DELETE FROM public.{table} WHERE {here} AND {same}",  # noqa: S608 - our own names
            *place, *(was[column] for column in columns),
        )  # fmt: skip
        if gone == "DELETE 0" and not counts:
            return  # The service has moved it since, by its journal.
        if gone == "DELETE 1" and not should:
            return
    if was and counts:
        by = ", ".join(f"{column} = {column} + ${len(key) + n}" for n, column in enumerate(columns, 1))
        off = ((should[column] if should else 0) - was[column] for column in columns)
        await build.execute(f"UPDATE public.{table} SET {by} WHERE {here}", *place, *off)  # noqa: S608
        return
    if should:
        add = ", ".join(f"{column} = t.{column} + EXCLUDED.{column}" for column in columns)
        await build.execute(
            f"INSERT INTO public.{table} AS t ({', '.join(row)}) "  # noqa: S608
            f"VALUES ({', '.join(f'${n}' for n in range(1, len(row) + 1))}) "
            f"ON CONFLICT ({', '.join(key)}) DO {f'UPDATE SET {add}' if counts else 'NOTHING'}",
            *should.values(),
        )
