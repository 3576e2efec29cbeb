"""The plug-in tutorial, followed word for word in an empty folder; then what its plug-in does when it changes."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from tests.conftest import ROOT
from tests.plugins.environment import Environment

PAGE = (ROOT / "docs/plugin_tutorial.md").read_text(encoding="utf-8")
STEPS = re.findall(r"```(\w+)\n(.*?)```|^ {4}(\S[^\n]*)$", PAGE, re.DOTALL | re.MULTILINE)
"""(language, block, "") and ("", "", command), in the order of the page."""
CODE = re.search(r"```python\n# (\S+decoder.py)\n(.*?)```", PAGE, re.DOTALL)


@pytest.fixture(scope="module")
def followed(tmp_path_factory) -> tuple[Environment, Path, dict[str, list[str]]]:
    """The environment, the folder in which the page's steps were followed, and the output of each command."""
    environment, folder = Environment(tmp_path_factory.mktemp("environment")), tmp_path_factory.mktemp("folder")
    outputs: dict[str, list[str]] = {}
    path = folder / CODE[1]
    for language, block, command in STEPS:
        if command:
            done = environment.run(command, folder)
            outputs.setdefault(command, []).append(done.stdout + done.stderr)
            failed = "finding" in done.stdout + done.stderr and "no findings" not in done.stdout
            assert done.returncode == (1 if failed else 0), f"{command}\n{done.stdout}\n{done.stderr}"
        elif block.startswith(f"# {CODE[1]}\n"):
            path.write_text(CODE[2])
        elif language == "python":
            code = path.read_text().splitlines()[:-1]
            path.write_text("\n".join([*code, block.split("\n", 1)[1]]))
        else:
            assert block.splitlines() == outputs["v2skit check-plugin my_decoder"][-1].splitlines()[:-1]
    return environment, folder, outputs


def test_the_decoder_trains_in_under_forty_lines(followed):
    _, folder, outputs = followed
    assert len([line for line in CODE[2].splitlines() if line.strip()]) < 40
    assert outputs["v2skit check-plugin my_decoder"][-1] == "plug-in 'my_decoder': no findings\n"
    for exp, processes in (("mel", 1), ("convs", 1), ("two", 2)):
        log = [json.loads(line) for line in (folder / f"my_decoder/exp/{exp}/pretrain/log.jsonl").open()]
        assert log[-1]["step"] == 20 and log[-1]["total"] < log[0]["total"], (exp, processes)
    assert (folder / "my_decoder/exp/convs/results.md").exists()


def test_the_plugin_travels_with_the_model(followed):
    _, folder, outputs = followed
    meta = json.loads(next((folder / "my_decoder/exp/convs/finetune").glob("checkpoint-*/meta.json")).read_text())
    digest = meta["sources"]["my_decoder"]
    assert meta["plugins"]["my_decoder"] == "0.1.0" and re.fullmatch("[0-9a-f]{12}", digest)
    assert f"plug-ins:  my_decoder 0.1.0 (source {digest})" in outputs["v2skit info convs.v2s"][0]


def test_other_sources_are_not_trained_on(followed):
    environment, folder, _ = followed
    path = folder / CODE[1]
    source = path.read_text()
    path.write_text(source + "# changed\n")
    done = environment.run("my_decoder/run.sh --exp exp/convs --stage 2 --stop_stage 2", folder)
    assert done.returncode == 1 and "was made with other sources of plug-in 'my_decoder'" in done.stderr
    info = environment.run("v2skit info convs.v2s", folder)
    assert ", here " in info.stdout
    path.write_text(source)


def test_a_broken_plugin_stops_nothing_but_its_own_use(followed):
    environment, folder, _ = followed
    hooks = folder / "my_decoder/src/my_decoder/__init__.py"
    source = hooks.read_text()
    hooks.write_text("import sys\nsys.exit('broken')\n")
    assert "Video-to-speech" in environment.run("v2skit --help", folder).stdout
    assert "conformer" in environment.run("v2skit components encoder", folder).stdout
    checked = environment.run("v2skit check-plugin my_decoder", folder)
    assert checked.returncode == 1 and "plug-in my_decoder: import: it is broken: it ends the process" in checked.stdout
    other = environment.run(
        "v2skit stage pretrain --config egs/mini/conf/mel.yaml --work_dir my_decoder --exp my_decoder/exp/other"
        " --set pretrain.steps=1 --set pretrain.batch_frames=200",
        folder,
    )
    assert other.returncode == 0, other.stderr
    own = environment.run("v2skit stage pretrain --config my_decoder/conf/mel.yaml --work_dir my_decoder", folder)
    assert own.returncode == 1 and "plug-in my_decoder is broken" in own.stderr
    hooks.write_text(source)
