"""A background producer: items in order, a bounded queue, and a thread that ends with its consumer."""

import gc
import subprocess
import sys
import threading
import time

import numpy as np
import pytest

from v2skit.system.prefetch import in_background, queue_size


@pytest.fixture(autouse=True)
def no_thread_is_left():
    before = set(threading.enumerate())
    yield
    wait_until(lambda: set(threading.enumerate()) <= before)


def wait_until(condition, seconds: float = 5.0) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it did not happen in time"
        time.sleep(0.002)


class Producer:
    """A generator that records its number of items, its thread and whether it was closed."""

    def __init__(self, count: int = 1000, fails_at: int | None = None):
        self.made, self.count, self.fails_at = 0, count, fails_at
        self.closed, self.thread = False, None

    def items(self):
        self.thread = threading.current_thread()
        try:
            for number in range(self.count):
                if number == self.fails_at:
                    raise ValueError("the producer failed")
                self.made += 1
                yield number
        finally:
            self.closed = True


@pytest.mark.parametrize("size", [1, 3, 100])
def test_items_come_in_order_from_another_thread(size):
    producer = Producer(50)
    assert list(in_background(producer.items(), size)) == list(range(50))
    assert producer.closed and producer.thread is not threading.current_thread()
    assert list(in_background([1, None, 2], size)) == [1, None, 2]
    assert list(in_background([], size)) == []


def test_an_exception_of_the_producer_is_raised_after_its_items():
    taken = []
    with pytest.raises(ValueError, match="the producer failed"):
        for item in in_background(Producer(fails_at=5).items(), 2):
            taken.append(item)
    assert taken == [0, 1, 2, 3, 4]
    for error in (KeyboardInterrupt, SystemExit, StopIteration):  # none of them is lost with the thread
        with pytest.raises(RuntimeError if error is StopIteration else error):
            list(in_background((raising(error) for _ in range(2)), 2))


def raising(error):
    raise error


def test_the_producer_is_bounded():
    producer = Producer()
    items = in_background(producer.items(), 4)
    assert producer.made == 0  # the thread starts with the first request
    for taken in range(1, 20):
        assert next(items) == taken - 1
        time.sleep(0.002)
        assert producer.made <= taken + 4 + 2
    wait_until(lambda: producer.made >= taken + 4)
    items.close()


@pytest.mark.parametrize("taken", [1, 5])
def test_a_consumer_that_leaves_stops_the_producer(taken):
    producer = Producer()
    items = in_background(producer.items(), 2)
    for _ in range(taken):
        next(items)
    begin = time.monotonic()
    items.close()
    assert producer.closed and not producer.thread.is_alive() and time.monotonic() - begin < 1
    made = producer.made
    time.sleep(0.01)
    assert producer.made == made


def test_a_consumer_that_fails_stops_the_producer():
    producer = Producer()
    with pytest.raises(KeyError):
        for _ in in_background(producer.items(), 2):
            raise KeyError("the consumer failed")
    gc.collect()
    wait_until(lambda: producer.closed and not producer.thread.is_alive())


def test_stages_after_each_other_are_closed_together():
    first, stages = Producer(), []

    def doubled(items):
        try:
            for item in items:
                yield 2 * item
        finally:
            stages.append("closed")

    items = in_background(doubled(in_background(first.items(), 2)), 2)
    assert [next(items) for _ in range(10)] == list(range(0, 20, 2))
    items.close()
    del items
    assert stages == ["closed"]
    wait_until(lambda: first.closed and not first.thread.is_alive())


def test_a_stage_that_fails_leaves_no_thread_before_it_running():
    """Without the help of the garbage collector, which may not come by for long."""
    first = Producer()

    def failing(items):
        for item in items:
            if item == 5:
                raise ValueError("a stage failed")
            yield item

    gc.disable()
    try:
        with pytest.raises(ValueError, match="a stage failed"):
            list(in_background(failing(in_background(first.items(), 2)), 2))
        wait_until(lambda: not first.thread.is_alive(), 2)
    finally:
        gc.enable()


def test_an_interpreter_ends_with_an_unfinished_one():
    """Both where the producer goes on for ever, and where it hangs."""
    for wait in (0.001, 1000):
        program = (
            "import itertools, time\nfrom v2skit.system.prefetch import in_background\n"
            f"def items():\n    yield 1\n    while True:\n        time.sleep({wait})\n        yield 2\n"
            "kept = in_background(in_background(items(), 2), 2)\nprint(next(kept))"
        )
        begin = time.monotonic()
        done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60)
        assert done.returncode == 0 and done.stdout == "1\n" and not done.stderr
        print(wait, time.monotonic() - begin)


@pytest.mark.parametrize(("megabytes", "ahead"), [(1, 16), (16, 16), (64, 4), (106, 2), (300, 1)])
def test_large_items_are_computed_ahead_by_bytes(megabytes, ahead):
    frame = np.broadcast_to(np.uint8(0), (megabytes << 20,))  # its bytes are not allocated
    made = []

    def items():
        for number in range(40):
            made.append(number)
            yield frame

    taken = in_background(items(), 16)
    next(taken)
    wait_until(lambda: len(made) == ahead + 2)  # one is taken, and one waits for a place
    time.sleep(0.05)
    assert len(made) == ahead + 2
    taken.close()
    assert queue_size(16, frame) == ahead


def test_the_size_follows_the_items():
    large, small = np.broadcast_to(np.uint8(0), (300 << 20,)), np.zeros(1, np.uint8)
    assert [len(item) for item in in_background([small, large, large, *[small] * 9], 4)] == [
        1, 300 << 20, 300 << 20, *[1] * 9,
    ]  # fmt: skip
