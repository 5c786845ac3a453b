"""Rows of figures of decoding on a GPU: kept as they come, told as a table, judged against what was asked for.

It knows rows and refuses to know models. Rules: the file is written after each row, so that a machine that goes away
takes nothing with it; a section that fails is told and the others still run.
"""

from __future__ import annotations

import gc
import json
import time
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

TARGETS = {
    1: 30.4 * 2.5,
    16: 384 * 1.8,
}  # tokens/s: what was measured for NF4 without adapter, times the factor asked for


MOST_GAP = 0.05  # logits below the teacher-forced maximum


class Report:
    """Rows of figures, written to a file after each section; a failing section is told and the rest goes on."""

    def __init__(self, out: Path, budget_seconds: float) -> None:
        self.rows: list[dict[str, Any]] = []
        self._out = out
        self._deadline = time.monotonic() + budget_seconds

    def section(self, name: str, work: Callable[[], None]) -> None:
        """Do one section's work unless the time is over."""
        if time.monotonic() > self._deadline:
            self.add(section=name, skipped="no time left")
            return
        begin = time.perf_counter()
        try:
            work()
        except Exception as failure:  # noqa: BLE001  # the machine is lent for minutes: the other sections still count
            traceback.print_exc()
            self.add(section=name, failed=f"{type(failure).__name__}: {str(failure)[:300]}")
        print(f"-- {name}: {time.perf_counter() - begin:.1f} s", flush=True)
        free()

    def add(self, **row: Any) -> None:
        """Keep a row."""
        self.rows.append(row)
        print("ROW", json.dumps(row), flush=True)
        self._out.write_text(json.dumps(self.rows, indent=1), encoding="utf-8")

    def table(self) -> None:
        """Print what was measured and whether it is enough."""
        columns = (
            "weights",
            "engine",
            "batch",
            "prefill_tok_s",
            "decode_tok_s",
            "ms_per_step",
            "peak_gib",
            "gap_p99",
            "gap_max",
            "logit_std",
            "margin_mean",
        )
        print(" | ".join(columns))
        for row in self.rows:
            if "decode_tok_s" in row or "gap_max" in row:
                print(" | ".join(str(row.get(column, "")) for column in columns))
            elif "failed" in row or "skipped" in row:
                print(row)
        self._judge()

    def _judge(self) -> None:
        for batch, target in TARGETS.items():
            for row in self.rows:
                if (row.get("engine"), row.get("weights"), row.get("batch")) == ("ours", "NF4+LoRA", batch):
                    speed, gap = row["decode_tok_s"], row["gap_max"]
                    print(f"batch {batch}: {speed} tokens/s, asked for {target:.0f}: {_verdict(speed >= target)}")
                    print(f"batch {batch}: gap {gap} logits, at most {MOST_GAP}: {_verdict(gap <= MOST_GAP)}")


def _verdict(is_reached: bool) -> str:
    return "reached" if is_reached else "MISSED"


def free() -> None:
    """Give memory back to the device and begin a new peak."""
    gc.collect()
    if torch.cuda.is_available():
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats()


def synchronize() -> None:
    """Wait for the device."""
    if torch.cuda.is_available():
        torch.cuda.synchronize()


def peak_gib() -> float:
    """Return the most memory held since the last `free`, in GiB."""
    return round(torch.cuda.max_memory_allocated() / 2**30, 2) if torch.cuda.is_available() else 0.0


def told_environment() -> dict[str, Any]:
    """Return versions and the device's name."""
    import importlib.metadata
    import platform

    found: dict[str, Any] = {"python": platform.python_version(), "torch": torch.__version__}
    for name in ("triton", "transformers", "peft", "bitsandbytes"):
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            found[name] = "absent"
    found["device"] = torch.cuda.get_device_name() if torch.cuda.is_available() else "CPU"
    return found
