"""Starts an operator again whenever it ends."""

import threading
from typing import Self

from tests.support.kit import until
from tests.support.operator import Operator


class Supervisor:
    """While it is entered, the operator runs; `exits` are the codes with which it has ended.

    It is started again at once, as a kubelet does the first time: so a process that ends for no
    good reason shows in `exits`, not in the time that things take.
    """

    def __init__(self, operator: Operator) -> None:
        self.operator = operator
        self.exits: list[int] = []
        self._ending = False
        self._lock = threading.Lock()
        self._thread = threading.Thread(target=self._run, name="supervisor")

    def __enter__(self) -> Self:
        self._process = self.operator.spawn()
        self._thread.start()
        self.until_leads()
        return self

    def __exit__(self, *_: object) -> None:
        with self._lock:
            self._ending = True
            self.operator.stop()
        self._thread.join()

    def until_leads(self) -> None:
        """Wait until it holds the Lease."""
        what = f"the operator leads; its log is {self.operator.log}"
        until(lambda: self._metric("flexvolume_leader") == 1, 30, what)

    @property
    def has_reconciled(self) -> bool:
        """Whether the process of this moment has come as far as that."""
        return self._metric('flexvolume_reconciles_total{result="success"}') > 0

    def _metric(self, line: str) -> float:
        try:
            return self.operator.metric(line)
        except OSError:
            return 0.0

    def _run(self) -> None:
        while True:
            code = self._process.wait()
            with self._lock:
                if self._ending:
                    return
                self.exits.append(code)
                self._process = self.operator.spawn()
