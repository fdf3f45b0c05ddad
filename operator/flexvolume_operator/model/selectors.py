"""Label requirements as Kubernetes decides them; of nodes' labels, taints and fields alike."""

import operator
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Final, Protocol


class Requirement(Protocol):
    """A key, an operator and values: of a node selector, a label selector or a toleration."""

    @property
    def key(self) -> str:
        """The label's key."""

    @property
    def operator(self) -> str:
        """In, NotIn, Exists, DoesNotExist, Gt or Lt."""

    @property
    def values(self) -> Sequence[str] | None:
        """None or empty for Exists and DoesNotExist."""


def satisfied(requirements: Iterable[Requirement], labels: Mapping[str, str]) -> bool:
    """Whether all of them hold; one with an operator that does not exist never does."""
    return all(
        r.operator in OPERATORS and OPERATORS[r.operator](labels.get(r.key), r.values or ())
        for r in requirements
    )


def _numbers(value: str | None, wanted: Sequence[str]) -> tuple[int, int]:
    """Both sides as whole numbers; equal ones, which are neither less nor more, if one is none."""
    try:
        return (int(value or ""), int(wanted[0]))
    except (ValueError, IndexError):
        return (0, 0)


OPERATORS: Final[dict[str, Callable[[str | None, Sequence[str]], bool]]] = {
    "In": lambda value, wanted: value in wanted,
    "NotIn": lambda value, wanted: value not in wanted,
    "Exists": lambda value, _wanted: value is not None,
    "DoesNotExist": lambda value, _wanted: value is None,
    "Gt": lambda value, wanted: operator.gt(*_numbers(value, wanted)),
    "Lt": lambda value, wanted: operator.lt(*_numbers(value, wanted)),
}
