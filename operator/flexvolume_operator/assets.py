"""Where the files that are not code live: templates, CRDs and the contract with the node program.

A wheel carries them inside the package, a checkout keeps them where people look for them, at the
top; nothing else in the package knows the difference.
"""

from functools import cache
from importlib.resources import files
from importlib.resources.abc import Traversable
from pathlib import Path

_CHECKOUT = Path(__file__).resolve().parents[2]


@cache
def _packaged() -> Traversable | None:
    folder = files(__package__).joinpath("_assets")
    return folder if folder.is_dir() else None


def _folder(name: str) -> Traversable:
    return (_packaged() or _CHECKOUT).joinpath(name)


def template(name: str) -> str:
    """Text of one Jinja2 template, by file name."""
    return _folder("templates").joinpath(name).read_text("utf-8")


def crds() -> list[str]:
    """Text of every CustomResourceDefinition, in the order of their file names."""
    found = (item for item in _folder("crds").iterdir() if item.name.endswith(".yaml"))
    return [item.read_text("utf-8") for item in sorted(found, key=lambda item: item.name)]


def contract() -> bytes:
    """The JSON file shared with the node program: report version, reasons, sample reports."""
    packaged = _packaged()
    if packaged is not None:
        return packaged.joinpath("contract.json").read_bytes()
    return _CHECKOUT.joinpath("installer", "report", "contract.json").read_bytes()
