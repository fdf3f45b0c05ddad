"""What was measured, as rows of a table: value, spread, goal, and whether that holds."""

import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Goal:
    """What a value is to be: `sign` is <, <= or =."""

    sign: str
    limit: float

    def holds(self, value: float) -> bool:
        if self.sign == "=":
            return value == self.limit
        return value < self.limit or (self.sign == "<=" and value == self.limit)


@dataclass(frozen=True)
class Row:
    """One line: all values that were measured, one for each run.

    `share` is the quantile that stands for them all: 0.5 for the median, 0.99 for p99. A goal has
    to be met by every single run, or else by that quantile.
    """

    what: str
    unit: str
    values: Sequence[float]
    goal: Goal | None = None
    share: float = 0.5
    every: bool = True

    @property
    def value(self) -> float:
        return quantile(self.values, self.share)

    @property
    def held(self) -> bool | None:
        if self.goal is None:
            return None
        judged = self.values if self.every else [self.value]
        return all(map(self.goal.holds, judged))

    def json(self) -> dict[str, Any]:
        """Everything that the tables and whoever compares two files need."""
        return {
            "what": self.what,
            "unit": self.unit,
            "goal": self.goal and f"{self.goal.sign} {self.goal.limit:g}",
            "quantile": self.share,
            "value": self.value,
            "min": min(self.values),
            "max": max(self.values),
            "runs": len(self.values),
            "held": self.held,
            "values": [round(value, 6) for value in self.values],
        }


@dataclass(frozen=True)
class Section:
    """Rows that were measured together; `letter` is what --only knows it by."""

    letter: str
    title: str
    note: str
    rows: Sequence[Row]


def quantile(values: Sequence[float], share: float) -> float:
    """The median, or else the smallest value that is not exceeded by this share of them."""
    if share == 0.5:
        return statistics.median(values)
    return sorted(values)[math.ceil(share * len(values)) - 1]


def percentiles(what: str, unit: str, values: Sequence[float], goal: Goal) -> list[Row]:
    """p50, and p99 with its goal."""
    p99 = Row(f"{what}, p99", unit, values, goal, 0.99, every=False)
    return [Row(f"{what}, p50", unit, values), p99]


def table(rows: Sequence[dict[str, Any]]) -> str:
    """Rows, in the form of Row.json, as a Markdown table."""
    lines = ["| what | goal | measured | min - max | runs | held |", "|---|---|---|---|---|---|"]
    for row in rows:
        held = {True: "yes", False: "**NO**", None: ""}[row["held"]]
        goal = f"{row['goal']} {row['unit']}" if row["goal"] else ""
        spread = f"{_short(row['min'])} - {_short(row['max'])}"
        measured = f"{_short(row['value'])} {row['unit']}".strip()
        cells = (row["what"], goal.strip(), measured, spread, str(row["runs"]), held)
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines)


def _short(value: float) -> str:
    """Three digits that count."""
    if value == round(value):
        return f"{value:,.0f}"
    digits = max(0, 2 - math.floor(math.log10(abs(value))))
    return f"{value:,.{digits}f}"
