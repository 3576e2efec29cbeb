"""What the README says works: its plug-ins, its corpus, its commands, its links."""

import os
import re
import shlex
import shutil
import subprocess
import sys
from itertools import pairwise
from pathlib import Path

import pytest

from tests.conftest import ROOT, make_data
from tests.registry.test_plugins import v2skit
from v2skit.config.load import load_config

README = (ROOT / "README.md").read_text(encoding="utf-8")
FILES = dict(re.findall(r"```\w+\n# (\S+)\n(.*?)```", README, re.DOTALL))
"""Path, from a code block's first line -> the block."""


@pytest.fixture(scope="module")
def installed(tmp_path_factory) -> Path:
    """The README's plug-ins, written as it says and installed by pip."""
    source, site = tmp_path_factory.mktemp("readme"), tmp_path_factory.mktemp("site")
    for path, content in FILES.items():
        (source / path).parent.mkdir(parents=True, exist_ok=True)
        (source / path).write_text(content)
    command = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--no-build-isolation"]
    for name in ("my_plugin", "my_corpus"):
        subprocess.run([*command, "--target", str(site), str(source / name)], check=True, capture_output=True)
    return site


def test_own_decoder_and_loss_train(installed, recipe_folder, tiny):
    sets = ["--set", "networks.decoder.type=my_decoder", "--set", "losses.my_loss={type: my_loss, weight: 0.5}"]
    assert all(value.strip("'") in README.replace("'", "") for value in sets)
    options = ["--config", str(tiny), "--work_dir", str(recipe_folder), *sets]
    result = v2skit("stage", "pretrain", *options, site=installed)
    assert result.returncode == 0, result.stderr
    assert '"my_loss"' in (recipe_folder / "exp/tiny/pretrain/log.jsonl").read_text()


def test_own_decoder_keeps_the_contract(installed, monkeypatch):
    monkeypatch.syspath_prepend(str(installed))
    import my_plugin

    from v2skit.config.features import Clock, Mel
    from v2skit.testing import check_decoder

    check_decoder(my_plugin.MyDecoder(24, Clock(), Mel()), 24, Clock(), Mel())


def test_own_corpus_is_prepared(installed, tmp_path):
    """The README's corpus and config, on clips that are mouth crops already."""
    recipe = tmp_path / "egs/mine"
    (recipe / "conf").mkdir(parents=True)
    shutil.copytree(ROOT / "egs/conf", tmp_path / "egs/conf")
    (recipe / "conf/mel.yaml").write_text(FILES["egs/mine/conf/mel.yaml"])
    clips = make_data(tmp_path / "made", count=24)
    for clip in clips:
        target = tmp_path / "videos" / clip.speaker / f"{clip.id}.mp4"
        target.parent.mkdir(parents=True, exist_ok=True)
        mux(clip.video, clip.audio, target)
    options = ["--config", "conf/mel.yaml", "--set", f"corpus.corpus_dir={tmp_path / 'videos'}"]
    options += ["--set", "tracker={type: none}", "--set", "prepare.jobs=1"]
    for stage in ("obtain", "prepare"):
        result = v2skit("stage", stage, *options, site=installed, cwd=recipe)
        assert result.returncode == 0, result.stderr
    counts = [len((recipe / "data" / name / "wav.scp").read_text().splitlines()) for name in ("train", "valid", "test")]
    assert sum(counts) == 24 and min(counts) > 0


def mux(video: Path, audio: Path, target: Path) -> None:
    """One file with the picture of one and the sound of another."""
    import av

    with av.open(str(video)) as v, av.open(str(audio)) as a, av.open(str(target), "w") as out:
        picture = out.add_stream_from_template(v.streams.video[0])
        sound = out.add_stream("aac", rate=24000)
        for packet in v.demux(video=0):
            if packet.dts is not None:
                packet.stream = picture
                out.mux(packet)
        for frame in a.decode(audio=0):
            out.mux(sound.encode(frame))
        out.mux(sound.encode(None))


def test_config_keys_of_the_text_exist(tiny):
    for text in re.findall(r"`(audio_corpus: .*?)`", README):
        value = text.partition(": ")[2]
        assert load_config(tiny, [f"audio_corpus={value}"]).audio_corpus.type == "audio_folder"


def test_recipe_commands_have_configs_and_keys_that_exist():
    text = README.replace("\\\n", " ")
    commands = [
        shlex.split(line, comments=True) for line in re.findall(r"^ +(egs/mini/run\.sh.*)$", text, re.MULTILINE)
    ]
    checked = 0
    for command in commands:
        options = list(pairwise(command[1:]))
        sets = [value for option, value in options if option == "--set"]
        if not any("my_" in value for value in sets):
            config = dict(options).get("--config", "conf/mel.yaml")
            assert load_config(ROOT / "egs/mini" / config, sets)
            checked += 1
    assert checked >= 7


def test_commands_and_links_exist():
    commands = re.findall(r"v2skit ([a-z]+)\b", "\n".join(re.findall(r"`v2skit [a-z]+`", README)))
    helped = subprocess.run(
        [sys.executable, "-m", "v2skit", "--help"], capture_output=True, text=True,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    ).stdout  # fmt: skip
    assert commands and all(re.search(rf"^    {c}\s", helped, re.MULTILINE) for c in commands)
    for page in (ROOT / "README.md", *ROOT.glob("egs/*/README.md")):
        for link in re.findall(r"\]\(([^)#:]+)\)", page.read_text(encoding="utf-8")):
            assert (page.parent / link).exists(), f"{page}: {link}"
    for path in re.findall(r"(?:egs|tools)/[\w/]+\.(?:sh|yaml)", README):
        assert (ROOT / path).exists() or "mine" in path, path


def test_the_python_example_runs(tmp_path):
    import numpy as np

    from tests.cases.model import untrained_run
    from tests.media_files import make_video

    example = next(block for block in re.findall(r"```python\n(import v2skit\n.*?)```", README, re.DOTALL))
    run = untrained_run(tmp_path)
    video = make_video(tmp_path / "clip.mp4", [n / 25 for n in range(12)], (96, 96))
    for name, path in {"mini.v2s": run, "clip.mp4": video, "long.mp4": video}.items():
        assert f'"{name}"' in example
        example = example.replace(f'"{name}"', repr(str(path)))
    example = example.replace('"face_mesh"', '"none"')
    names = {"frames": np.zeros((30, 96, 96, 3), np.uint8)}
    exec(example, names)
    assert names["speech"].waveform.shape == (24000,) and len(names["piece"])


def test_the_options_of_commands_exist(capsys):
    from v2skit.cli.main import _parser

    text = README.replace("\\\n", " ")
    lines = re.findall(r"^ {4}(?:.*\| +)?tools/venv/bin/v2skit (.*)$", text, re.MULTILINE)
    commands = [shlex.split(line, comments=True) for line in lines]
    assert {"synth", "stream", "serve", "pack", "info"} <= {command[0] for command in commands}
    for command in commands:
        _parser().parse_args(command)
