"""Rows of measured figures beside what they are compared with."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from rich.console import Console
from rich.table import Table


@dataclass(frozen=True, slots=True)
class Row:
    """One figure. `reference` is in the same unit; `source` says what it is."""

    what: str
    value: float
    unit: str
    reference: float | None = None
    source: str = ""
    less_is_better: bool = False

    @property
    def ratio(self) -> str:
        """How many times better (above 1) or worse (below 1) than the reference."""
        if not self.reference or not self.value:
            return ""
        ratio = self.reference / self.value if self.less_is_better else self.value / self.reference
        return f"{ratio:.2f}"


def show(rows: Iterable[Row]) -> None:
    table = Table(box=None, header_style="bold")
    table.add_column("what")
    table.add_column("measured", justify="right")
    table.add_column("unit")
    table.add_column("compared with", justify="right")
    table.add_column("which is")
    table.add_column("ratio", justify="right")
    for row in rows:
        reference = (
            "" if row.reference is None else f"{row.reference:,.4g}" if row.reference < 100 else f"{row.reference:,.0f}"
        )
        value = f"{row.value:,.4g}" if row.value < 100 else f"{row.value:,.0f}"
        table.add_row(row.what, value, row.unit, reference, row.source, row.ratio)
    Console(width=170).print(table)
