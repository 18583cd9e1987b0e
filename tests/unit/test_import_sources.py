"""Which file is what, and what is said about a file that is nothing we know."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from services.ops.importing.complete_journey import COLUMNS as JOURNEY
from services.ops.importing.errors import UnknownSourceError
from services.ops.importing.online_retail import COLUMNS as RETAIL
from services.ops.importing.sources import open_source


def file_with(folder: Path, columns: frozenset[str]) -> Path:
    file = folder / "some.parquet"
    pq.write_table(pa.table({column: pa.array([1, 2]) for column in [*sorted(columns), "more"]}), file)
    return file


def test_a_file_is_recognised_by_its_columns(tmp_path: Path) -> None:
    journey = open_source(str(file_with(tmp_path, JOURNEY)))
    assert (journey.name, journey.program, journey.rows) == ("complete-journey", "grocer", 2)
    retail = open_source(str(file_with(tmp_path, RETAIL)))
    assert (retail.name, retail.program) == ("online-retail", "online_retail")
    assert retail.ce_source == "tallybook/import/online-retail"


def test_a_file_with_other_columns_is_refused_naming_what_is_known(tmp_path: Path) -> None:
    with pytest.raises(UnknownSourceError, match="has the columns more; complete-journey has basket_id"):
        open_source(str(file_with(tmp_path, frozenset())))


def test_a_file_that_is_no_parquet_or_not_there_is_refused(tmp_path: Path) -> None:
    (tmp_path / "some.csv").write_text("a,b\n")
    with pytest.raises(UnknownSourceError, match="is not a Parquet file"):
        open_source(str(tmp_path / "some.csv"))
    with pytest.raises(UnknownSourceError, match="can't be read"):
        open_source(str(tmp_path / "none.parquet"))
    with pytest.raises(UnknownSourceError, match="can't be read"):
        open_source(str(tmp_path))
