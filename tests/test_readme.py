"""What the documentation says works: its example packages, commands, configs, links and paths."""

from __future__ import annotations

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
from tests.test_architecture import LAYERS
from v2skit.config.load import load_config

DOCS = (ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md")))
RECIPES = sorted(ROOT.glob("egs/*/README.md"))
PAGES = (*DOCS, *RECIPES, *sorted(ROOT.glob("plugins/*/README.md")), ROOT / "CONTRIBUTING.md", ROOT / "CHANGELOG.md")
TEXT = {page: page.read_text(encoding="utf-8") for page in PAGES}
EXTENDING = TEXT[ROOT / "docs/extending.md"]
FILES = dict(re.findall(r"```\w+\n# (\S+)\n(.*?)```", EXTENDING, re.DOTALL))
"""Path, from a code block's first line -> the block."""

BY_PAGE = pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
PROGRAMS = ("pip", "tools/venv/bin/pip", "python", "cp", "ffmpeg")
"""Of commands that are not v2skit's; their arguments are not checked."""
PLUGIN_COMPONENTS = (
    "my_decoder", "my_loss", "my_sampler", "my_energy", "my_package", "parallel_wavegan", "mel_upsampling",
    "wandb", "mlflow", "avhubert",
)  # fmt: skip
"""Components of packages that are not installed here."""
NEW_RECIPE = "egs/mine"
"""A recipe that the pages tell users to make."""


@pytest.fixture(scope="module")
def installed(tmp_path_factory) -> Path:
    """The plug-ins of docs/extending.md, written as it says and installed by pip."""
    source, site = tmp_path_factory.mktemp("source"), tmp_path_factory.mktemp("site")
    for path, content in FILES.items():
        (source / path).parent.mkdir(parents=True, exist_ok=True)
        (source / path).write_text(content)
    command = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--no-build-isolation"]
    for name in ("my_plugin", "my_corpus"):
        subprocess.run([*command, "--target", str(site), str(source / name)], check=True, capture_output=True)
    return site


def test_own_decoder_and_loss_train(installed, recipe_folder, tiny):
    sets = ["--set", "networks.decoder.type=my_decoder", "--set", "losses.my_loss={type: my_loss, weight: 0.5}"]
    assert all(value.strip("'") in EXTENDING.replace("'", "") for value in sets)
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


def test_own_decoder_with_a_training_loss_of_its_own_trains(installed, recipe_folder, tiny, monkeypatch):
    page = TEXT[ROOT / "docs/contracts.md"]
    code = re.search(r"```python\n# my_sampler.py\n(.*?)```", page, re.DOTALL)[1]
    assert len(code.splitlines()) <= 60
    (installed / "my_sampler.py").write_text(code)
    sets = ("networks.decoder={type: my_sampler:MySampler}", "losses.l1.weight=0", "losses.spectral_convergence=null")
    assert all(value.replace("'", "") in page.replace("'", "") for value in sets)
    options = [option for value in sets for option in ("--set", value)]
    result = v2skit(
        "stage", "pretrain", "--config", str(tiny), "--work_dir", str(recipe_folder), *options, site=installed
    )
    assert result.returncode == 0, result.stderr
    assert '"decoder/l1"' in (recipe_folder / "exp/tiny/pretrain/log.jsonl").read_text()

    monkeypatch.syspath_prepend(str(installed))
    import my_sampler

    from v2skit.config.features import Clock, Mel
    from v2skit.testing import check_decoder

    check_decoder(my_sampler.MySampler(24, Clock(), Mel()), 24, Clock(), Mel())


def test_own_target_head_and_loss_train(installed, recipe_folder, tiny):
    page = TEXT[ROOT / "docs/contracts.md"]
    (installed / "my_energy.py").write_text(re.search(r"```python\n# my_energy.py\n(.*?)```", page, re.DOTALL)[1])
    found = re.findall(r"--set (\S+=)'(\{type: my_energy:[^']*)'", page)
    assert len(found) == 3
    sets = [option for key, value in found for option in ("--set", key + value)]
    result = v2skit("stage", "pretrain", "--config", str(tiny), "--work_dir", str(recipe_folder), *sets, site=installed)
    assert result.returncode == 0, result.stderr
    assert '"energy"' in (recipe_folder / "exp/tiny/pretrain/log.jsonl").read_text()


def test_own_corpus_is_prepared(installed, tmp_path):
    """The corpus and config of docs/extending.md, on clips that are mouth crops already."""
    recipe = tmp_path / NEW_RECIPE
    (recipe / "conf").mkdir(parents=True)
    shutil.copytree(ROOT / "egs/conf", tmp_path / "egs/conf")
    (recipe / "conf/mel.yaml").write_text(FILES[f"{NEW_RECIPE}/conf/mel.yaml"])
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
    """One file with the picture of one and the audio of another."""
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


def inline_code(page: Path) -> list[str]:
    """The code spans of a page's sentences and tables, each in one line."""
    text = re.sub(r"```.*?```|^ {4,}.*?$", "", TEXT[page], flags=re.DOTALL | re.MULTILINE)
    return [" ".join(code.split()) for code in re.findall(r"`([^`]+)`", text)]


def commands(page: Path) -> list[tuple[Path, list[str]]]:
    """The commands of a page's indented blocks: (folder, words). A recipe's README is read in the recipe's folder."""
    home = page.parent if page in RECIPES else ROOT
    text = re.sub(r"```.*?```", "", TEXT[page], flags=re.DOTALL).replace("\\\n", " ")
    found = []
    for block in re.split(r"\n(?! {4})", text):
        folder = home
        for line in re.findall(r"^ {4}(\S.*)$", block, re.MULTILINE):
            for command in re.split(r" && | \| ", line):
                words = shlex.split(command, comments=True)
                if words[0] == "cd":
                    folder = home / words[1]
                    assert folder.is_dir(), f"{page}: {line}"
                else:
                    found.append((folder, words))
    return found


@BY_PAGE
def test_commands_can_be_run(page):
    """Programs and scripts exist; options of v2skit and run.sh, configs and their keys do as well."""
    for folder, (program, *arguments) in commands(page):
        if re.fullmatch(r"((\.\./)*tools/venv/bin/)?v2skit", program):
            check_v2skit(arguments)
        elif program.endswith("run.sh"):
            check_recipe((folder / program).parent.resolve(), arguments)
        elif re.fullmatch(r"(\.\./)*tools/venv/bin/python", program):
            assert (folder / arguments[0]).is_file(), arguments
        elif program not in PROGRAMS:
            assert (folder / program).is_file(), f"{page}: {program}"


def check_v2skit(arguments: list[str]) -> None:
    """The command line parses."""
    from v2skit.cli.main import _parser

    _parser().parse_args(arguments)


def check_recipe(recipe: Path, arguments: list[str]) -> None:
    """The recipe exists, run.sh has the options, and its config loads with the overrides."""
    if recipe == ROOT / NEW_RECIPE:
        return
    assert (recipe / "run.sh").is_file(), recipe
    usage = re.findall(r"^  (--\w+)", (ROOT / "egs/stages.sh").read_text(), re.MULTILINE)
    options = [word for word in arguments if word.startswith("--")]
    assert set(options) <= {*usage}, f"{recipe}: {options}"
    pairs = list(pairwise(arguments))
    sets = [value for option, value in pairs if option == "--set"]
    if not any(name in value for value in sets for name in PLUGIN_COMPONENTS):
        config = dict(pairs).get("--config", "conf/mel.yaml")
        assert load_config(recipe / config, sets)


def test_the_pages_show_every_command():
    shown = {words[1] for page in DOCS for _, words in commands(page) if words[0].endswith("v2skit")}
    wanted = {
        "components",
        "plugins",
        "synth",
        "synth-data",
        "stream",
        "serve",
        "pack",
        "info",
        "new-recipe",
        "data",
        "compare",
        "diff",
        "leaderboard",
    }
    assert wanted <= shown
    assert sum(words[0].endswith("run.sh") for page in PAGES for _, words in commands(page)) > 60


@BY_PAGE
def test_overrides_of_the_text_exist(page):
    """``--set KEY=VALUE`` in a sentence; those of docs/ are overrides of the mini recipe."""
    recipe = page.parent if page in RECIPES else ROOT / "egs/mini"
    for code in inline_code(page):
        sets = [value for option, value in pairwise(shlex.split(code)) if option == "--set"] if "--set " in code else []
        if sets and "=EXP" not in code:
            assert load_config(recipe / "conf/mel.yaml", sets), code


def test_config_keys_of_the_text_exist(tiny):
    found = [
        code for page in PAGES for code in inline_code(page) if code.startswith(("audio_corpus:", "data:", "networks:"))
    ]
    assert len(found) >= 3
    for code in found:
        key, _, value = code.partition(": ")
        assert load_config(tiny, [f"{key}={value}"]), code


@BY_PAGE
def test_commands_of_the_text_exist(page):
    """``v2skit COMMAND`` in a sentence, with the name of a stage where it has one."""
    for code in inline_code(page):
        if re.fullmatch(r"v2skit [a-z][a-z -]*", code):
            words = code.split()[1:]
            with pytest.raises(SystemExit) as ended:
                check_v2skit([*words[: 2 if words[0] in ("stage", "data") else 1], "--help"])
            assert ended.value.code == 0, code


@BY_PAGE
def test_links_and_paths_exist(page):
    for link in re.findall(r"\]\(([^):]+)\)", TEXT[page]):
        path, _, anchor = link.partition("#")
        target = (page.parent / path).resolve() if path else page
        assert target.exists(), link
        if anchor:
            headings = re.findall(r"^#+ (.*)$", target.read_text(encoding="utf-8"), re.MULTILINE)
            assert anchor in {re.sub(r"[^\w -]", "", h.lower()).replace(" ", "-") for h in headings}, link
    for path in re.findall(r"(?<![\w/])(?:egs|tools|tests|v2skit)/[\w/]+\.(?:sh|yaml|py|md)\b", TEXT[page]):
        assert (ROOT / path).exists() or path.startswith((NEW_RECIPE, "tools/venv")), path


def test_no_page_is_an_orphan():
    linked = {(page.parent / link).resolve() for page in DOCS for link in re.findall(r"\]\(([^)#:]+)", TEXT[page])}
    assert {*DOCS, *RECIPES} <= linked | {ROOT / "README.md"}


def test_the_readme_fits_on_a_screen():
    assert len(TEXT[ROOT / "README.md"].splitlines()) <= 70


def test_the_map_names_every_folder_and_only_what_exists():
    text = TEXT[ROOT / "docs/architecture.md"]
    package = ROOT / "v2skit"
    folders = {path.parent.relative_to(package).as_posix() for path in package.rglob("__init__.py")} - {"."}
    named = set(re.findall(r"`([\w./]+/|[\w/]+\.\w+)`", text))
    assert {f"{folder}/" for folder in folders} <= named
    wrong = [path for path in named if not ((package / path).exists() or (ROOT / path).exists())]
    assert wrong == ["wav.scp"]


def test_the_map_lists_the_layers_in_their_order():
    text = TEXT[ROOT / "docs/architecture.md"]
    rows = re.findall(r"^\| `(\w+)/` \|", text, re.MULTILINE)
    floors = {name: number for number, layer in enumerate(LAYERS) for name in layer.split(", ")}
    numbers = [floors[row] for row in rows]
    assert numbers == sorted(numbers)


def test_the_python_example_runs(tmp_path):
    import numpy as np

    from tests.cases.model import untrained_run
    from tests.media_files import make_video

    text = TEXT[ROOT / "docs/synthesis.md"]
    example = next(block for block in re.findall(r"```python\n(import v2skit\n.*?)```", text, re.DOTALL))
    run = untrained_run(tmp_path)
    video = make_video(tmp_path / "clip.mp4", [n / 25 for n in range(12)], (96, 96))
    for name, path in {"mini.v2s": run, "clip.mp4": video, "long.mp4": video}.items():
        assert f'"{name}"' in example
        example = example.replace(f'"{name}"', repr(str(path)))
    example = example.replace('"face_mesh"', '"none"')
    names = {"frames": np.zeros((30, 96, 96, 3), np.uint8)}
    exec(example, names)
    assert names["speech"].waveform.shape == (24000,) and len(names["piece"])
