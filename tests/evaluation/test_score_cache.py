"""Keys of cached results: the same for the same component and inputs, another for any difference."""

import numpy as np
import pytest

from v2skit.evaluation.mcd import Mcd
from v2skit.evaluation.score_cache import ScoreCache, lines_of, read_cache
from v2skit.evaluation.stoi import Estoi, Stoi
from v2skit.registry import sources


class Scaled:
    protocol = "a number"

    def __init__(self, scale=1.0):
        self.scale = scale


SOUND = np.arange(4.0)


def computed(cache, component, *inputs):
    """Whether a result is not in the cache."""
    calls = []
    cache.recall(component, list(inputs), lambda: calls.append(1) or "result")
    return bool(calls)


@pytest.mark.parametrize(
    "component, inputs",
    [
        (Scaled(2.0), [SOUND, 24000]),
        (Scaled([1.0, 2.0]), [SOUND, 24000]),
        (Mcd(), [SOUND, 24000]),
        (Scaled(), [SOUND, 16000]),
        (Scaled(), [SOUND + 1e-9, 24000]),
        (Scaled(), [SOUND.astype(np.float32), 24000]),
        (Scaled(), [SOUND, 24000, SOUND]),
        (Scaled(), [SOUND[:2], SOUND[2:], 24000]),
    ],
)
def test_any_difference_is_computed(component, inputs):
    cache = ScoreCache()
    assert computed(cache, Scaled(), SOUND, 24000)
    assert not computed(cache, Scaled(), SOUND.copy(), 24000)
    assert computed(cache, component, *inputs)


def test_the_version_of_a_package_and_the_class_are_part_of_the_key(monkeypatch):
    pytest.importorskip("pystoi", reason="pystoi is not installed")
    cache, one, other = ScoreCache(), Stoi(), Estoi()
    assert computed(cache, one, SOUND) and computed(cache, other, SOUND) and not computed(cache, Stoi(), SOUND)
    one.protocol = one.protocol.replace("pystoi ", "pystoi 9.")
    assert computed(cache, one, SOUND)


def test_the_sources_of_what_a_component_calls_are_part_of_the_key(monkeypatch):
    cache = ScoreCache()
    assert computed(cache, Scaled(), SOUND) and not computed(cache, Scaled(), SOUND)
    packages = []
    monkeypatch.setattr(sources, "digest_of", lambda found: packages.append(found) or "edited")
    assert computed(cache, Scaled(), SOUND) and packages[0] == {"v2skit", __name__.partition(".")[0]}


def test_results_are_the_same_from_the_file_and_what_is_no_result_is_not_stored(tmp_path):
    cache = ScoreCache()
    results = [{"a": np.float32(0.1), "b": 1 / 3}, "the reason", ["SOME", "WORDS"], 7]
    for number, result in enumerate(results):
        cache.recall(Scaled(), [number], lambda result=result: result)
    for bad in ({"a": np.nan}, {"a": "text"}, [1], None):
        cache.recall(Scaled(), ["bad"], lambda bad=bad: bad)
    path = tmp_path / "cache.jsonl"
    path.write_text('\nno JSON\n["key"]\n' + lines_of(cache.take_fresh()), encoding="utf-8")
    again = ScoreCache(read_cache(path))
    assert len(again.known) == 4 and not cache.take_fresh()
    for number, result in enumerate(results):
        assert (
            again.recall(Scaled(), [number], lambda: None) == cache.recall(Scaled(), [number], lambda: None) == result
        )
    assert not again.fresh and read_cache(tmp_path / "none.jsonl") == {}
