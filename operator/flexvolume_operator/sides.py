"""The two sides of a FlexDriver: nodes that have it for kubelets, and for controller-managers.

Both are judged, counted and rolled out alike; they differ in the question that is asked of a node.
The second follows from the first: only what the driver has answered on a node tells whether
controller-managers need it, and where the kubelet's installation serves both there is no other.
"""

import time
from collections.abc import Callable, Iterable, Iterator, Mapping

from flexvolume_operator.assess import managers as verdicts
from flexvolume_operator.assess.managers import Seat
from flexvolume_operator.assess.placement import NOT_MATCHED
from flexvolume_operator.assess.summary import Managers
from flexvolume_operator.assess.tally import Tally
from flexvolume_operator.model.directory import Aim, ControllerManager, aim
from flexvolume_operator.model.flexnode import Install
from flexvolume_operator.model.names import CONTROLLER_MANAGER, KUBELET, Role
from flexvolume_operator.model.objects import Node
from flexvolume_operator.model.verdict import Target
from flexvolume_operator.render.gate import Place
from flexvolume_operator.rollout.plan import Rollout
from flexvolume_operator.survey import Change, Question, Survey
from flexvolume_operator.wanted import Wanted
from flexvolume_operator.world import World


class Side:
    """The verdicts in one role with all that is derived from them."""

    def __init__(self, flexdriver: str, role: Role, world: World) -> None:
        self.tally = Tally()
        self.rollout = Rollout()
        self.survey = Survey(flexdriver, role, world.nodes, world.pods, self._remembered)
        self._flexdriver = flexdriver
        self._role = role
        self._flexnodes = world.flexnodes
        # Nodes with an entry that was there before the question that is asked now.
        self._unjudged: set[str] = set()

    def ask_all(self, nodes: Iterable[str]) -> None:
        """The question has changed: judge these nodes anew, and all that have an entry."""
        self._unjudged.update(self._flexnodes.holding(self._flexdriver, self._role))
        self.survey.mark_all(nodes)

    def judge(self, ask: Callable[[Node, bool], Question]) -> list[Change]:
        """Judge what changed and hand the verdicts on; the differences."""
        changes = self.survey.judge(ask, time.time())
        for node, _, after in changes:
            self.tally.put(node, after)
            self.rollout.put(node, after)
            if after is None:
                self._flexnodes.drop(node, self._flexdriver, self._role)
            else:
                self._flexnodes.put(node, after.install)
        # Nodes may have left the placement while nobody was here to see it.
        for node in self._unjudged - self.survey.verdicts.keys():
            self._flexnodes.drop(node, self._flexdriver, self._role)
        self._unjudged.clear()
        return changes

    def _remembered(self, node: str, sought: Target) -> Install | None:
        return self._flexnodes.entry(node, (sought.flexdriver, sought.role, sought.path))


class Sides:
    """Both sides of a FlexDriver. `attaches`: whether the driver was last known to attach."""

    def __init__(self, flexdriver: str, world: World, *, attaches: bool) -> None:
        self.kubelets = Side(flexdriver, KUBELET, world)
        self.managers = Side(flexdriver, CONTROLLER_MANAGER, world)
        self._flexdriver = flexdriver
        self._world = world
        self._attaches = attaches
        self._places: Mapping[str, Place] | None = None

    def __iter__(self) -> Iterator[Side]:
        return iter((self.kubelets, self.managers))

    def mark(self, node: str) -> None:
        """Something about a node or a pod on it changed."""
        for side in self:
            side.survey.mark(node)

    def ask_all(self) -> None:
        """What is asked for has changed."""
        self.kubelets.ask_all(self._world.nodes)
        self.managers.ask_all(self._world.managers.known)

    def judge(self, wanted: Wanted) -> list[Change]:
        """Judge what changed on both sides; the differences."""
        changes = self.kubelets.judge(lambda node, has_pod: self._of_kubelet(wanted, node, has_pod))
        if (capabilities := self.kubelets.tally.capabilities) is not None:
            self._attaches = capabilities.attach
        places = self._planned(wanted)
        if places != self._places:
            self._places = places
            use = self._world.managers.use if places else self._world.managers.leave
            use(self._flexdriver)
            self.managers.ask_all(self._world.managers.known)
        return changes + self.managers.judge(lambda node, _: self._of_manager(wanted, node))

    def children(self) -> list[str]:
        """Names of the DaemonSets that are for some node."""
        return sorted(name for side in self for name in side.tally.children)

    def forget(self) -> None:
        """The FlexDriver has nothing to do with any node any more."""
        self._world.managers.leave(self._flexdriver)
        for node in self._world.flexnodes.holding(self._flexdriver):
            self._world.flexnodes.drop(node, self._flexdriver)

    def managers_status(self, wanted: Wanted) -> Managers:
        """What is to be said of controller-managers."""
        directories = self.managers.tally.directories
        if not self._attaches:
            return Managers(None, directories)
        spec = wanted.flexdriver.spec.controller_manager
        known = self._world.managers.known.items()
        seats = (self._seat(name, manager) for name, manager in known)
        return Managers(verdicts.ready(spec, seats), directories)

    def _of_kubelet(self, wanted: Wanted, node: Node, has_pod: bool) -> Question:
        flexdriver = wanted.flexdriver
        match = wanted.matcher.match(node, has_pod=has_pod)
        nowhere = wanted.nowhere(KUBELET)
        if not match.matched or match.unsupported is not None:
            return Question(match, nowhere, Aim())
        found = aim(
            self._world.inquiry.of(node), flexdriver.spec.plugin_dir, force=flexdriver.force
        )
        if found.doubt == "Unknown":
            return Question(match, nowhere, found)
        override = bool(flexdriver.spec.plugin_dir)
        place = Place(found.path, override=override, force=flexdriver.force)
        return Question(match, wanted.group(place).target, found)

    def _of_manager(self, wanted: Wanted, node: Node) -> Question:
        place = self._places.get(node.name) if self._places else None
        manager = self._world.managers.known.get(node.name)
        if place is None or manager is None:
            return Question(NOT_MATCHED, wanted.nowhere(CONTROLLER_MANAGER), Aim())
        match = wanted.matcher.able(node)
        if match.unsupported is not None:
            return Question(match, wanted.nowhere(CONTROLLER_MANAGER), Aim())
        source = "Override" if place.override else manager.source
        return Question(match, wanted.group(place).target, Aim(place.plugin_dir, source))

    def _planned(self, wanted: Wanted) -> Mapping[str, Place]:
        """Where the driver is to be for controller-managers alone, by node."""
        spec, known = wanted.flexdriver.spec.controller_manager, self._world.managers.known
        if not known or not verdicts.wants(spec, attach=self._attaches):
            return {}
        # A node whose kubelet is being asked may turn out to be served.
        decided = {n: m for n, m in known.items() if not self._is_asked(n)}
        wanted_dirs = verdicts.places(spec, decided, {n: self._kubelet_dir(n) for n in decided})
        own = {n: d.path for n in wanted_dirs if (d := self._world.inquiry.known(n)) is not None}
        # A node that has it for its kubelet, though not for this driver, must not be left out.
        shared = {path for name, path in wanted_dirs.items() if own.get(name) == path}
        override = bool(spec.plugin_dir)
        return {
            name: Place(path, CONTROLLER_MANAGER, override=override, apart=path not in shared)
            for name, path in wanted_dirs.items()
        }

    def _seat(self, name: str, manager: ControllerManager) -> Seat:
        kubelet_dir = self._kubelet_dir(name)
        verdict = self.managers.survey.verdicts.get(name)
        if verdict is None and kubelet_dir and kubelet_dir == manager.host_path:
            verdict = self.kubelets.survey.verdicts.get(name)
        return Seat(name, manager, verdict.install if verdict else None, kubelet_dir)

    def _kubelet_dir(self, name: str) -> str:
        """Where the driver is, or is to be, for the kubelet of a node."""
        verdict = self.kubelets.survey.verdicts.get(name)
        if verdict is None or verdict.aim.doubt:
            return ""
        return verdict.target.plugin_dir

    def _is_asked(self, name: str) -> bool:
        verdict = self.kubelets.survey.verdicts.get(name)
        return verdict is not None and verdict.aim.doubt == "Unknown"
