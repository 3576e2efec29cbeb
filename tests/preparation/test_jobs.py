"""Preparation by several jobs: processes of this machine, or an array of Slurm's."""

from __future__ import annotations

import fcntl
import os
import shlex
import signal
import sys
import threading
import time
from pathlib import Path

import pytest

from tests.preparation.failing_job import failing
from tests.preparation.test_prepare import CROPS, Folder, clip
from v2skit.config.features import Clock, Crop
from v2skit.config.prepare import Prepare
from v2skit.corpora.corpus import CorpusUtterance
from v2skit.data.data_dir import read_manifest
from v2skit.errors import UserError
from v2skit.media.audio import read_audio
from v2skit.preparation.jobs import run_jobs
from v2skit.preparation.prepare import prepare

SBATCH = """# Imitates Slurm's: runs the tasks of an array one after another, and records their states.
import os, pathlib, re, subprocess, sys
if sys.argv[1] != "run":
    quiet = {{"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}}
    subprocess.Popen([sys.executable, __file__, "run", sys.argv[-1]], **quiet)
    sys.exit(print("Submitted batch job 7"))
text = pathlib.Path(sys.argv[-1]).read_text()
array = re.search(r"--array=0-(\\d+)", text)
for task in range(int(array[1]) + 1 if array else 1):
    names = {{"SLURM_JOB_ID": f"7{{task}}", "SLURM_NTASKS": "1", "SLURM_JOB_NUM_NODES": "1"}}
    names |= {{"SLURM_JOB_NODELIST": "here", "SLURMD_NODENAME": "here"}}
    names |= {{"SLURM_LOCALID": "0", "SLURM_NODEID": "0", "SLURM_PROCID": "0"}}
    if array:
        names |= {{"SLURM_ARRAY_JOB_ID": "7", "SLURM_ARRAY_TASK_ID": str(task)}}
    code = subprocess.run(["bash", sys.argv[-1]], env={{**os.environ, **names}}, capture_output=True).returncode
    with open("{states}", "a") as states:
        print(f"7_{{task}}" if array else "7", "FAILED" if code else "COMPLETED", "here", sep="|", file=states)
"""


@pytest.fixture(scope="module")
def clips(tmp_path_factory) -> list[CorpusUtterance]:
    folder = tmp_path_factory.mktemp("raw")
    return [clip(folder / f"clip{n}.mp4") for n in range(5)]


def run(folder: Path, clips: list[CorpusUtterance], **settings) -> Path:
    parts = {"train": clips[:3], "s1/test": clips[3:]}
    prepare(Folder(parts), CROPS, Clock(), Crop(), folder / "data", Prepare(**settings))
    return folder / "data"


def contents(data: Path) -> dict[str, bytes]:
    found = [u for split in ("train", "s1/test") for u in read_manifest(data / split)]
    return {u.id: read_audio(u.audio, 24000).tobytes() for u in found}


def test_two_jobs_prepare_what_one_does(tmp_path, clips):
    two, one = run(tmp_path / "two", clips, jobs=2), run(tmp_path / "one", clips, jobs=1)
    assert contents(two) == contents(one) and len(contents(one)) == 5
    assert sorted(path.name for path in two.glob("train/audio/*")) == ["0.ark", "1.ark"]
    for table in ("text", "utt2spk", "utt2num_frames", "settings.json", "report.json"):
        assert (two / "train" / table).read_bytes() == (one / "train" / table).read_bytes()


def test_failed_jobs_are_named_and_the_others_end(tmp_path):
    items = ["known", "unknown", "killed", "good"]
    expected = "3 of 4 jobs failed .job 0: the disk is full; job 1: KeyError: 'what'; job 2: .* by SIGKILL.*fewer jobs"
    with pytest.raises(UserError, match=expected):
        run_jobs(failing, items, Prepare(), tmp_path, lambda: 0, 1)


def test_only_the_utterances_of_a_killed_job_are_prepared_again(tmp_path, clips, capsys):
    (tmp_path / "data/train/shards").mkdir(parents=True)
    with (tmp_path / "data/train/shards/.1.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        (tmp_path / "data/train/prepared_with.json").write_text(settings_of(tmp_path, clips))
        with pytest.raises(UserError, match=r"1 of 2 jobs failed .job 1: another process is at work.*stage 1 resumes"):
            run(tmp_path, clips, jobs=2)
    done = (tmp_path / "data/train/shards/0.jsonl").read_text()
    assert done.count("\n") == 2 and not (tmp_path / "data/train/utt2num_frames").exists()
    run(tmp_path, clips, jobs=2)
    assert len(contents(tmp_path / "data")) == 5
    assert (tmp_path / "data/train/shards/0.jsonl").read_text().startswith(done)


def settings_of(folder: Path, clips: list[CorpusUtterance]) -> str:
    """What a preparation writes about its settings."""
    return (run(folder / "other", clips, jobs=1) / "train/prepared_with.json").read_text()


def test_an_interrupt_ends_the_jobs(tmp_path):
    threading.Thread(target=lambda: (time.sleep(1), os.kill(os.getpid(), signal.SIGINT))).start()
    old, started = signal.signal(signal.SIGINT, signal.default_int_handler), time.monotonic()
    try:
        with pytest.raises(KeyboardInterrupt):
            run_jobs(time.sleep, [100.0], Prepare(), tmp_path, lambda: 0, 1)
    finally:
        signal.signal(signal.SIGINT, old)
    assert time.monotonic() - started < 50


@pytest.fixture
def slurm(tmp_path, monkeypatch) -> Path:
    """Replaces Slurm's programs. Returns the file with the states of the tasks."""
    pytest.importorskip("submitit")
    # submitit asks sacct ever more seldom, and waits 15 s for a result that a network file system may still hide.
    monkeypatch.setattr("submitit.core.core.Job._results_timeout_s", 1, raising=False)
    monkeypatch.setattr("submitit.slurm.slurm.SlurmJob.watcher._delay_s", 0.2, raising=False)
    programs, states = tmp_path / "bin", tmp_path / "states"
    programs.mkdir()
    states.touch()
    (programs / "sbatch.py").write_text(SBATCH.format(states=states))
    command = shlex.join([sys.executable, str(programs / "sbatch.py")])
    texts = {"sbatch": f'#!/bin/sh\nexec {command} "$@"\n'}
    texts["sacct"] = f'#!/bin/sh\necho "JobID|State|NodeList"\ncat "{states}"\n'
    for name in ("scancel", "srun"):
        texts[name] = "#!/bin/sh\n"
    for name, text in texts.items():
        (programs / name).write_text(text)
        (programs / name).chmod(0o755)
    monkeypatch.setenv("PATH", f"{programs}:{os.environ['PATH']}")
    monkeypatch.setenv("PYTHONPATH", f"{Path(__file__).parents[2]}:{Path(__file__).parent}")
    return states


def test_a_slurm_array_prepares_the_same(tmp_path, clips, slurm):
    data = run(tmp_path, clips, jobs=2, cluster="slurm", slurm={"partition": "cpu", "time": 10})
    assert contents(data) == contents(run(tmp_path / "one", clips, jobs=1))
    script = next((data / "jobs").rglob("*.sh")).read_text()
    assert "--partition=cpu" in script and "--time=10" in script and "--array=0-1" in script


def test_failed_slurm_jobs_are_named(tmp_path, slurm):
    with pytest.raises(
        UserError, match=r"2 of 3 jobs failed .job 0: the disk is full; job 2: Slurm reports FAILED for job 7_2"
    ):
        run_jobs(
            failing, ["known", "good", "killed"], Prepare(jobs=3, cluster="slurm"), tmp_path / "jobs", lambda: 0, 1
        )


def test_slurm_options_it_does_not_know_are_an_error(tmp_path, slurm):
    with pytest.raises(UserError, match="prepare.slurm: jobs can't be submitted: .*'partitoin'"):
        settings = Prepare(jobs=2, cluster="slurm", slurm={"partitoin": "cpu"})
        run_jobs(failing, ["good", "good"], settings, tmp_path / "jobs", lambda: 0, 1)


def test_without_slurm_the_message_names_the_remedy(tmp_path, monkeypatch):
    pytest.importorskip("submitit")
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(UserError, match="machine has no sbatch"):
        run_jobs(failing, ["good"], Prepare(jobs=1, cluster="slurm"), tmp_path, lambda: 0, 1)
    with pytest.raises(UserError, match="how many jobs"):
        Prepare(cluster="slurm")
