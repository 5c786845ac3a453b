"""The report of an ingest: kept with its Generation, whole or not at all."""

from __future__ import annotations

from pathlib import Path

import pytest

from governance.errors import Damaged, NotFound
from ingest.ingest_report import keep_report, read_report, report_path


def test_a_report_reads_back_as_it_was_kept(tmp_path: Path) -> None:
    keep_report(tmp_path, "c-1", {"counts": {"added": 1}, "lines": ["ä"]})
    keep_report(tmp_path, "c-1", {"counts": {"added": 2}, "lines": ["ä"]})
    assert read_report(tmp_path, "c-1") == {"counts": {"added": 2}, "lines": ["ä"]}
    assert [path.name for path in report_path(tmp_path, "c-1").parent.iterdir()] == ["c-1.json"]


def test_a_missing_or_damaged_report_is_said(tmp_path: Path) -> None:
    with pytest.raises(NotFound, match="No report of index generation c-2"):
        read_report(tmp_path, "c-2")
    keep_report(tmp_path, "c-1", {})
    report_path(tmp_path, "c-1").write_text("{")
    with pytest.raises(Damaged, match=r"c-1\.json cannot be read"):
        read_report(tmp_path, "c-1")
