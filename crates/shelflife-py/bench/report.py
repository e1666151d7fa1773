"""The table: rows with ratios, targets and verdicts, as text and as the JSON that `make bench` writes."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

HEADS = ("", "shelflife", "beside", "ratio", "target", "")

UNITS: dict[str, Callable[[float], str]] = {
    "nanoseconds": lambda number: f"{number:.1f} ns",
    "microseconds": lambda number: f"{number:.2f} µs",
    "per_second": lambda number: f"{number:.0f}/s",
}


@dataclass(frozen=True)
class Target:
    """What a row's ratio should be; in a row without one, its figure."""

    #: "at_most" or "at_least".
    kind: str
    number: float

    def missed_by(self, got: float) -> float:
        """As a fraction of the target; 0 when it is met."""
        beyond = got - self.number if self.kind == "at_most" else self.number - got
        return max(beyond, 0.0) / self.number

    def __str__(self) -> str:
        return f"{'≤' if self.kind == 'at_most' else '≥'} {self.number:g}"


@dataclass(frozen=True)
class Row:
    """One line of the table."""

    section: str
    what: str
    ours: float
    unit: str
    beside: float | None = None
    ratio: float | None = None
    target: Target | None = None

    def judged(self) -> float:
        return self.ours if self.ratio is None else self.ratio

    def met(self) -> bool | None:
        return None if self.target is None else self.target.missed_by(self.judged()) == 0.0

    def cells(self) -> tuple[str, ...]:
        show = UNITS[self.unit]
        verdict = ""
        if self.target is not None:
            verdict = "PASS" if self.met() else f"short by {self.target.missed_by(self.judged()) * 100:.0f} %"
        return (
            self.what,
            show(self.ours),
            "" if self.beside is None else show(self.beside),
            "" if self.ratio is None else f"{self.ratio:.2f}",
            str(self.target or ""),
            verdict,
        )

    def as_json(self) -> dict[str, object]:
        target = self.target and {self.target.kind: self.target.number}
        return {**self.__dict__, "target": target, "met": self.met()}


@dataclass
class Report:
    """Everything that a run found out."""

    machine: list[tuple[str, str]]
    seconds: float = 0.0
    notes: list[tuple[str, str]] = field(default_factory=list)
    rows: list[Row] = field(default_factory=list)

    def note(self, section: str, *lines: str) -> None:
        """Says how the rows of a section were measured."""
        self.notes += [(section, line) for line in lines]

    def row(self, row: Row) -> None:
        self.rows.append(row)

    def write(self, file: Path) -> None:
        whole = {**self.__dict__, "rows": [row.as_json() for row in self.rows]}
        file.write_text(json.dumps(whole, indent=2, ensure_ascii=False))

    def __str__(self) -> str:
        lines = [" · ".join(f"{name} {fact}" for name, fact in self.machine)]
        table = {row: row.cells() for row in self.rows}
        widths = [max(map(len, column)) for column in zip(HEADS, *table.values())]
        for section in dict.fromkeys(row.section for row in self.rows):
            lines += ["", section, *(f"  {note}" for of, note in self.notes if of == section), _line(HEADS, widths)]
            lines += [_line(cells, widths) for row, cells in table.items() if row.section == section]
        judged = [met for row in self.rows if (met := row.met()) is not None]
        return "\n".join([*lines, "", f"{sum(judged)} of {len(judged)} targets met, in {self.seconds:.0f} s"])


def _line(cells: tuple[str, ...], widths: list[int]) -> str:
    what, *numbers, verdict = cells
    right = "".join(f"  {cell:>{width}}" for cell, width in zip(numbers, widths[1:]))
    return f"  {what:<{widths[0]}}{right}  {verdict}".rstrip()
