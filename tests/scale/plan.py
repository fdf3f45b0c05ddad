"""How much is measured, and telling people how far it is."""

import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, replace


@dataclass(frozen=True)
class Plan:
    """Sizes are numbers of nodes; `rest` is seconds, `times` how often something is harmed."""

    few: int = 100
    many: int = 1000
    most: int = 5000
    few_runs: int = 5
    runs: int = 3
    times: int = 200
    rest: float = 120

    def quick(self) -> "Plan":
        """Enough to see that everything works; no figures to show to anybody."""
        return replace(self, few=20, many=100, most=200, few_runs=1, runs=1, times=10, rest=10)

    @property
    def sizes(self) -> tuple[tuple[int, int], ...]:
        """Numbers of nodes that kwok can keep alive, and how often each is measured."""
        return ((self.few, self.few_runs), (self.many, self.runs))


Tell = Callable[[str], None]


class Progress:
    """Lines on standard error: how long it has taken, of how much, and what comes now."""

    def __init__(self, expected: float) -> None:
        self._began = time.monotonic()
        self._expected = expected

    def __call__(self, text: str) -> None:
        elapsed = time.monotonic() - self._began
        print(f"[{_clock(elapsed)} of about {_clock(self._expected)}] {text}", file=sys.stderr)


def _clock(seconds: float) -> str:
    return f"{int(seconds) // 60:2d}:{int(seconds) % 60:02d}"
