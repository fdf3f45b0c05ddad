"""What a FlexDriver asks for, made ready once: a placement, and a DaemonSet per directory."""

from collections.abc import Sequence
from dataclasses import dataclass

from flexvolume_operator.assess.placement import Matcher
from flexvolume_operator.model.flexdriver import FlexDriver
from flexvolume_operator.model.names import Role
from flexvolume_operator.model.verdict import Target, target
from flexvolume_operator.render.daemonset import (
    NO_CONTENTS,
    Contents,
    Installer,
    Rendered,
    render,
    revision,
)
from flexvolume_operator.render.gate import Place


@dataclass(frozen=True, slots=True)
class Group:
    """The nodes of one directory: their DaemonSet, and what it is to bring about."""

    rendered: Rendered
    target: Target


class Wanted:
    """The question that a FlexDriver of this generation asks, among these rivals.

    `contents` stands for what is in the ConfigMaps and Secrets that it names.
    """

    def __init__(
        self,
        flexdriver: FlexDriver,
        rivals: Sequence[str],
        installer: Installer,
        contents: Contents = NO_CONTENTS,
    ) -> None:
        self.flexdriver = flexdriver
        self.rivals = rivals
        self.contents = contents
        spec = flexdriver.spec
        self.matcher = Matcher(spec.placement, spec.requirements.architectures)
        self.revision = revision(spec, contents)
        self._installer = installer
        self._groups: dict[Place, Group] = {}
        self._children: dict[str, Group] = {}
        self._nowhere: dict[Role, Target] = {}

    def is_about(self, flexdriver: FlexDriver, rivals: Sequence[str], contents: Contents) -> bool:
        """Whether it is the question that this FlexDriver asks among these rivals."""
        mine = (self.flexdriver, self.rivals, self.contents)
        return mine == (flexdriver, rivals, contents)

    def group(self, place: Place) -> Group:
        """The nodes of a directory."""
        if (known := self._groups.get(place)) is None:
            rendered = render(self.flexdriver, place, self._installer, self.rivals, self.contents)
            known = self._groups[place] = Group(
                rendered,
                target(
                    self.flexdriver,
                    place.role,
                    place.plugin_dir,
                    revision=self.revision,
                    namespace=self._installer.namespace,
                    child=rendered.name,
                    template=rendered.template,
                    template_hash=rendered.template_hash,
                ),
            )
        self._children[known.rendered.name] = known
        return known

    def child(self, name: str) -> Group:
        """The same by the name of the DaemonSet; it must have been asked for."""
        return self._children[name]

    def nowhere(self, role: Role) -> Target:
        """The target of a node whose directory is not known."""
        if (known := self._nowhere.get(role)) is None:
            namespace = self._installer.namespace
            known = self._nowhere[role] = target(
                self.flexdriver, role, "", revision=self.revision, namespace=namespace
            )
        return known
