"""Drivers on nodes that are not ours, as the dry runs of FlexDrivers have found them.

Each dry run lists all that lie in its directory, so that with several of them a node has as many
lists. The memory of it are the installer pods: their last reports.
"""

from collections.abc import Callable
from sys import intern

from msgspec import Struct

from flexvolume_operator.model.flexnode import shared
from flexvolume_operator.model.report import Foreign, Report


class Found(Struct, frozen=True):
    """Foreign drivers in order of their names, the first of `count`."""

    drivers: tuple[Foreign, ...] = ()
    count: int = 0


NOBODY = Found()


class ForeignDrivers:
    """What was found on each node, by the FlexDriver whose dry run it was."""

    def __init__(self) -> None:
        self._found: dict[str, dict[str, Found]] = {}

    def heard(self, node: str, flexdriver: str, report: Report) -> bool:
        """Take in a report of install, of which only dry runs look for them; whether it is news."""
        known = self._found.get(node, {})
        if not report.foreign and not report.foreign_count:
            return known.pop(flexdriver, None) is not None
        drivers = tuple(
            Foreign(intern(f.name), intern(f.sha256), intern(f.init)) for f in report.foreign
        )
        found = Found(shared(drivers), max(report.foreign_count, len(drivers)))
        news = known.get(flexdriver) != found
        self._found.setdefault(node, {})[flexdriver] = found
        return news

    def on(self, node: str, is_there: Callable[[str], bool]) -> Found:
        """All of a node's, as far as the FlexDriver that found them is there still."""
        lists = [found for name, found in self._found.get(node, {}).items() if is_there(name)]
        if len(lists) <= 1:
            return lists[0] if lists else NOBODY
        named = {driver.name: driver for found in lists for driver in found.drivers}
        drivers = shared(tuple(named[name] for name in sorted(named)))
        return Found(drivers, max(len(drivers), *(found.count for found in lists)))

    def forget(self, node: str) -> None:
        """The node has nothing to do with us any more."""
        self._found.pop(node, None)
