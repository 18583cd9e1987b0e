"""The tables of a try as Parquet files, one a table."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path
from typing import Any

from services.ops.importing.errors import DataMissingError
from services.ops.trying.tables import Table, Worth, text_of


def write(tables: list[Table], folder: Path, worth: Worth | None) -> list[Path]:
    """Write `<table>.parquet` for each table into `folder`, which is made when it is not there.

    Raises:
        DataMissingError: pyarrow is not installed.
        OSError: the folder can't be written to.
    """
    try:
        # Here and not above: pyarrow comes with the extra `demo`, and all other commands do without it.
        import pyarrow as pa
        import pyarrow.parquet as pq
    except ModuleNotFoundError as missing:
        raise DataMissingError(f"{missing}: install the extra, pip install 'tallybook[demo]'") from missing
    folder.mkdir(parents=True, exist_ok=True)
    written = []
    for table in tables:
        types = {
            "text": pa.string(),
            "whole": pa.int64(),
            "money": pa.decimal128(38, worth.digits if worth else 0),
        }
        columns = []
        for number, column in enumerate(table.columns):
            cells: list[Any] = [row[number] for row in table.rows]
            if column.kind == "money":
                cells = [Decimal(text_of(cell, "money", worth).replace(",", "")) for cell in cells]
            columns.append(pa.array(cells, types[column.kind]))
        file = folder / f"{table.name}.parquet"
        pq.write_table(pa.table(columns, [column.name for column in table.columns]), file)
        written.append(file)
    return written
