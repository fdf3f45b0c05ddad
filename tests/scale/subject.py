"""The operator as something to be measured."""

from collections.abc import Sequence

from tests.scale import process
from tests.support.operator import Operator


class Subject(Operator):
    """What the running process has used, and what it knows."""

    @property
    def cpu(self) -> float:
        """Seconds of CPU since its start."""
        return process.cpu(self._pid)

    @property
    def resident(self) -> float:
        """MiB of memory now."""
        return process.memory(self._pid, "VmRSS")

    @property
    def peak(self) -> float:
        """MiB of memory at most since its start."""
        return process.memory(self._pid, "VmHWM")

    def knows(self, drivers: Sequence[str], count: int) -> bool:
        """Whether it says of each of these FlexDrivers that it is installed on so many nodes."""
        series = 'flexvolume_driver_nodes{{flexdriver="{}",state="Installed"}}'
        try:
            return all(self.metric(series.format(driver)) == count for driver in drivers)
        except OSError:
            return False

    @property
    def _pid(self) -> int:
        assert self._process is not None
        assert self._process.poll() is None, self.log.read_text()[-3000:]
        return self._process.pid
