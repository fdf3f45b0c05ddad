"""Jinja2 for YAML in which no value can break out of its place.

Every `{{ value }}` is written as YAML by the environment itself: text in double quotes, lists and
dictionaries in flow style. So a template joins text inside the braces, `{{ name ~ "-x" }}`, and
never beside them. json.dumps will not do: its escapes of emoji are not YAML's.
"""

from collections.abc import Mapping
from functools import cache
from typing import Any

import jinja2
import yaml

from flexvolume_operator import assets


class _Quoted(yaml.SafeDumper):
    """Writes all text in double quotes, so that none turns into a number, a boolean or a key."""

    def ignore_aliases(self, _data: Any) -> bool:
        """Write equal values out each time."""
        return True


_Quoted.add_representer(
    str, lambda dumper, text: dumper.represent_scalar("tag:yaml.org,2002:str", text, style='"')
)
_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


def encode(value: Any) -> Any:
    """A value as YAML on one line; an undefined one is left for StrictUndefined to refuse."""
    if isinstance(value, jinja2.Undefined):
        return value
    text = yaml.dump(
        value,
        Dumper=_Quoted,
        default_flow_style=True,
        width=float("inf"),
        allow_unicode=False,
        sort_keys=False,
    )
    return text.removesuffix("\n").removesuffix("\n...")


def verbatim(text: str) -> str:
    """Text for a container's command or env in which the kubelet will expand no `$(NAME)`."""
    return text.replace("$", "$$")


@cache
def _environment() -> jinja2.Environment:
    environment = jinja2.Environment(
        undefined=jinja2.StrictUndefined,
        autoescape=False,  # noqa: S701 - YAML, not HTML; finalize does the escaping
        trim_blocks=True,
        lstrip_blocks=True,
        finalize=encode,
        loader=jinja2.FunctionLoader(assets.template),
    )
    environment.filters["verbatim"] = verbatim
    return environment


def render_template(name: str, values: Mapping[str, Any]) -> dict[str, Any]:
    """The one object that a template makes of the values."""
    text = _environment().get_template(name).render(values)
    manifest: dict[str, Any] = yaml.load(text, Loader=_LOADER)  # noqa: S506 - a safe loader
    return manifest
