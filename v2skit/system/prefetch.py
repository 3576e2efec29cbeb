"""Work that goes on while what it made is used."""

from __future__ import annotations

import queue
import threading
from collections.abc import Iterable, Iterator
from typing import TypeVar

Item = TypeVar("Item")
WAIT_SECONDS, JOIN_SECONDS = 0.1, 5.0


def in_background(items: Iterable[Item], size: int) -> Iterator[Item]:
    """The same items, made by a thread that is up to ``size`` of them ahead; what it raises is raised here.

    Decoders, trackers and networks let other threads run while they work, so that stages joined by this overlap.
    """
    ready: queue.Queue = queue.Queue(size)
    stop, end = threading.Event(), object()
    failure: list[BaseException] = []

    def put(item: object) -> bool:
        while not stop.is_set():
            try:
                ready.put(item, timeout=WAIT_SECONDS)
                return True
            except queue.Full:
                continue
        return False

    def work() -> None:
        try:
            for item in items:
                if not put(item):
                    break
        except BaseException as error:
            failure.append(error)
        finally:
            try:
                if hasattr(items, "close"):
                    items.close()
            finally:
                put(end)

    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    try:
        while (item := ready.get()) is not end:
            yield item
        if failure:
            raise failure.pop()  # and let go of it: it holds what the producer held
    finally:
        stop.set()
        thread.join(JOIN_SECONDS)  # not for ever: when the interpreter ends, its threads may never answer
