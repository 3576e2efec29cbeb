"""An iterator whose items are computed ahead by a background thread."""

from __future__ import annotations

import queue
import threading
from collections.abc import Iterable, Iterator
from typing import TypeVar

Item = TypeVar("Item")
WAIT_SECONDS, JOIN_SECONDS = 0.1, 5.0


def in_background(items: Iterable[Item], size: int) -> Iterator[Item]:
    """The same items, computed by a thread up to ``size`` items ahead; its exceptions are raised here.

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
