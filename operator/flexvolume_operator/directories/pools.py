"""The operator's own table of directories: nodes by their labels, and the directory they have.

A directory is a fact of a pool of machines. Said once here, no FlexDriver has to repeat it.
"""

import json
from collections.abc import Mapping, Sequence
from typing import Annotated

from pydantic import (
    AfterValidator,
    Field,
    TypeAdapter,
    ValidationError,
    model_validator,
)

from flexvolume_operator.model.fields import Model
from flexvolume_operator.model.names import normalise_plugin_dir
from flexvolume_operator.model.selectors import satisfied

_NEED_VALUES = {"In": True, "NotIn": True, "Exists": False, "DoesNotExist": False}


class InvalidPools(ValueError):
    """A table that cannot be meant: which row, what it says, what is right."""


class Expression(Model):
    """One requirement of a label selector."""

    key: Annotated[str, Field(min_length=1)]
    operator: str
    values: list[str] = Field(default_factory=list)

    @model_validator(mode="after")
    def _known(self) -> "Expression":
        needs = _NEED_VALUES.get(self.operator)
        if needs is None:
            raise ValueError(f"operator must be one of {', '.join(_NEED_VALUES)}")
        if needs is not bool(self.values):
            raise ValueError(f"{self.operator} takes {'at least one value' if needs else 'none'}")
        return self


class Selector(Model):
    """A LabelSelector; one that says nothing would match every node and is refused."""

    match_labels: dict[str, str] = Field(default_factory=dict)
    match_expressions: list[Expression] = Field(default_factory=list)

    @model_validator(mode="after")
    def _selects(self) -> "Selector":
        if not self.match_labels and not self.match_expressions:
            raise ValueError("must have matchLabels or matchExpressions")
        return self

    def matches(self, labels: Mapping[str, str]) -> bool:
        """Whether a node with these labels is meant."""
        wanted = self.match_labels.items()
        return wanted <= labels.items() and satisfied(self.match_expressions, labels)


class Pool(Model):
    """Nodes and their directory."""

    selector: Selector
    path: Annotated[str, AfterValidator(normalise_plugin_dir)]


_POOLS = TypeAdapter(list[Pool])


def parse_pools(text: str) -> tuple[Pool, ...]:
    """The table from its JSON, a list of {selector, path}; empty text is an empty table.

    Raises InvalidPools for the first thing that is wrong.
    """
    if not text.strip():
        return ()
    try:
        return tuple(_POOLS.validate_python(json.loads(text)))
    except json.JSONDecodeError as error:
        raise InvalidPools(f"must be a JSON list of {{selector, path}}: {error}") from None
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        where = "".join(f"[{s}]" if isinstance(s, int) else f".{s}" for s in first["loc"])
        right = first["msg"].removeprefix("Value error, ")
        raise InvalidPools(f"pools{where}: {first['input']!r}: {right}") from None


def pool(pools: Sequence[Pool], labels: Mapping[str, str]) -> Pool | None:
    """The first row that means a node with these labels."""
    return next((row for row in pools if row.selector.matches(labels)), None)
