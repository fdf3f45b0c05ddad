"""Many requests at once, as the administrator: a thousand objects are made in seconds."""

import threading
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from typing import TypeVar

from testbed.api import Api, connect
from testbed.layout import Layout

T = TypeVar("T")

# The API server, which shares the machine's cores, answers no faster to more.
CONNECTIONS = 16


def for_each(layout: Layout, things: Iterable[T], work: Callable[[Api, T], object]) -> None:
    """Call `work` for each thing, from several threads with a connection each."""
    own = threading.local()
    with ExitStack() as connections, ThreadPoolExecutor(CONNECTIONS) as pool:

        def call(thing: T) -> None:
            if not hasattr(own, "api"):
                own.api = connections.enter_context(connect(layout))
            work(own.api, thing)

        # The first error comes out here.
        for _ in pool.map(call, things):
            pass
