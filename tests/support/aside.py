"""What goes on beside a test."""

import threading
from abc import ABC, abstractmethod
from typing import Self


class Aside(ABC):
    """While it is entered, `step` is done over and over on a thread of its own."""

    # Seconds between one and the next.
    pause = 0.0

    def __init__(self) -> None:
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run)

    @abstractmethod
    def step(self) -> None:
        """Look once."""

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._stop.wait(self.pause):
            self.step()
