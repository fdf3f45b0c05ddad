"""What programs of a test cluster write into their logs from a moment on."""

from tests.support.kit import Kit

CONTROLLER_MANAGER = "kube-controller-manager.log"


def kubelet(node: str = "node-1") -> str:
    """The name of a kubelet's log."""
    return f"{node}-kubelet.log"


class Logs:
    """The logs of these names, from now on."""

    def __init__(self, kit: Kit, *names: str) -> None:
        files = [kit.cluster.layout.logs / name for name in names]
        self._begin = {file: file.stat().st_size for file in files}

    def naming(self, *words: str) -> list[str]:
        """The lines with all of these words, each after the name of its log."""
        found = []
        for file, begin in self._begin.items():
            text = file.read_bytes()[begin:].decode(errors="replace")
            lines = (line for line in text.splitlines() if all(word in line for word in words))
            found += [f"{file.name}: {line}" for line in lines]
        return found
