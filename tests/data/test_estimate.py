"""What a preparation is said to take, against what it takes."""

import re
from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from tests.data.test_check import speech
from tests.data.test_prepare import Folder, clip, prepared
from v2skit.cli import main
from v2skit.config import load_config
from v2skit.corpora import Source
from v2skit.data import estimate as module
from v2skit.data.estimate import estimate
from v2skit.settings import Filters


@pytest.fixture
def config(tiny):
    return load_config(tiny, [])


def rows(text: str) -> dict[str, list[str]]:
    """The table of a report, by its first column."""
    cells = (
        [cell.strip() for cell in line.strip("|").split("|")] for line in text.splitlines() if line.startswith("|")
    )
    return {first: rest for first, *rest in cells}


def kilobytes(text: str) -> float:
    number, unit = text.split()
    return float(number) * {"KB": 1, "MB": 1000}[unit]


def corpus(folder: Path) -> Folder:
    """Sounds of half a second to two, and three clips."""
    sounds = [speech(folder / f"raw/s1-{n:02d}.flac", 0.5 + 1.5 * n / 29, seed=n) for n in range(30)]
    return Folder({"audio": sounds, "test": [clip(folder / f"raw/s2-{n}.mp4", audio_seconds=None) for n in range(3)]})


def test_disk_and_hours(tmp_path, config):
    found = rows(estimate(config, [corpus(tmp_path)], tmp_path / "data", sample=10, jobs=1))
    assert list(found) == ["", "---", "audio", "test", "all"]
    assert found["audio"][:2] == ["30", "0.0104"] and found["all"][0] == "33" and found["test"][5] == "0 of 3"
    assert not (tmp_path / "data").exists()
    data = prepared(tmp_path, corpus(tmp_path).parts, video_only_ok={"test"})
    for name in ("audio", "test"):
        stored = sum(p.stat().st_size for p in (data / name).rglob("*") if p.suffix in (".ark", ".jsonl")) / 1000
        assert kilobytes(found[name][2]) == pytest.approx(stored, rel=0.05)


def test_the_interval_holds_the_hours(tmp_path, config, monkeypatch):
    monkeypatch.setattr(module, "HEADERS", 10)
    parts = corpus(tmp_path)
    inside = 0
    for seed in range(10):
        hours = rows(estimate(config, [parts], tmp_path, sample=1, jobs=1, seed=seed))["audio"][1]
        middle, margin = map(float, hours.split(" ± "))
        assert 0 < margin < 0.004
        inside += abs(middle - 30 * 1.25 / 3600) <= margin
    assert inside >= 7


def test_what_fails_and_what_is_filtered_is_told(tmp_path, config):
    sources = [speech(tmp_path / f"raw/s1-{n}.flac", 0.5 + n / 10, seed=n) for n in range(4)]
    for name in ("s1-x", "s1-y"):
        (tmp_path / f"raw/{name}.flac").write_bytes(b"no sound")
        sources.append(Source(name, "s1", tmp_path / f"raw/{name}.flac"))
    object.__setattr__(config.prepare, "filters", Filters(min_seconds=0.65))
    text = estimate(config, [Folder({"audio": sources})], tmp_path, jobs=1)
    assert rows(text)["audio"][5] == "2 of 6 (33%)"
    assert "- audio: failed, 2 of 6: FILE has an audio stream without sound" in text
    assert "- audio: filtered, 2 of 6: shorter than 0.65 s" in text
    assert "WARNING" not in text


def test_a_short_disk_is_warned_of(tmp_path, config, monkeypatch):
    monkeypatch.setattr(module, "_free", lambda folder: 10_000)
    text = estimate(config, [corpus(tmp_path)], tmp_path, sample=2, jobs=1)
    assert re.search(r"WARNING: the disk is short of [\d.]+ [KM]B; make room", text)


def test_jobs_share_the_cores_of_this_machine():
    one = module.Estimate(10, 1.0, 0.0, 1e6, processor=400.0, wall=500.0, tried=1, failed=Counter(), filtered=Counter())
    for jobs, cluster, cell in (
        (1, "local", "8 min"),
        (2, "local", "4 min"),
        (50, "local", "2 min"),
        (50, "slurm", "10 s"),
    ):
        assert rows(module._markdown({"a": one}, jobs, 4, cluster, 10**9))["all"][4] == cell


def test_the_command(tmp_path, tiny, capsys):
    speech(tmp_path / "sounds/s1-a.flac")
    speech(tmp_path / "sounds/s2-b.flac", seed=1)
    options = [
        "--config",
        str(tiny),
        "--work_dir",
        str(tmp_path),
        "--set",
        "corpus={type: audio_folder, directories: [sounds]}",
    ]
    assert main(["data", "estimate", *options, "--sample", "2"]) == 0
    assert rows(capsys.readouterr().out)["all"][0] == "2"
    assert main(["data", "estimate", *options, "--sample", "0"]) == 1
    assert "--sample 0 must be at least 1" in capsys.readouterr().err
    assert main(["data", "estimate", "--config", str(tiny), "--work_dir", str(tmp_path)]) == 1
    assert "stage 0 makes it" in capsys.readouterr().err
    assert not np.any([path.name == "data" for path in tmp_path.iterdir()])
