"""An iterator whose items are computed ahead by a background thread."""

from __future__ import annotations

import queue
import threading
from collections.abc import Iterable, Iterator
from typing import TypeVar

Item = TypeVar("Item")
WAIT_SECONDS, JOIN_SECONDS = 0.1, 5.0


QUEUE_BYTES = 256 << 20
"""Of the items that are computed ahead: frames of 8K have 106 MB each."""


def queue_size(size: int, item: object) -> int:
    """At most ``size`` items, and one or more, that have QUEUE_BYTES, where all are as large as an item: arrays."""
    return max(1, min(size, QUEUE_BYTES // max(1, getattr(item, "nbytes", 1))))


def in_background(items: Iterable[Item], size: int) -> Iterator[Item]:
    """The same items, computed by a thread up to ``size`` items ahead, or :func:`queue_size` of arrays; its exceptions
    are raised here.

    Video decoders, trackers and networks release the interpreter lock, so that stages joined by this run in parallel.
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
                ready.maxsize = queue_size(size, item)
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
            raise failure.pop()  # popped, since its traceback refers to the objects of the thread
    finally:
        stop.set()
        thread.join(JOIN_SECONDS)  # with a timeout: at the exit of the interpreter the thread may never end
