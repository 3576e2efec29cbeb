"""The stages on prepared data: their order, finished ones, other configs, and no target at inference."""

import hashlib
import json
import shutil
from pathlib import Path

import pytest
import soundfile
import torch
import yaml

from tests.conftest import make_data
from v2skit.cli.main import main
from v2skit.config.load import load_config
from v2skit.data.data_dir import read_manifest, read_silent
from v2skit.errors import UserError
from v2skit.models import checkpoint
from v2skit.recipes.data import corpus_settings
from v2skit.synthesis.synthesiser import Synthesiser
from v2skit.system.atomic import exclusive_lock


def stage(name: str, folder: Path, config: Path, *more: str) -> int:
    return main(["stage", name, "--config", str(config), "--work_dir", str(folder), "--device", "cpu", *more])


@pytest.fixture
def trained(recipe_folder, tiny) -> Path:
    for name in ("pretrain", "transfer", "finetune"):
        assert stage(name, recipe_folder, tiny) == 0
    return recipe_folder


def test_each_stage_names_the_one_that_is_missing(recipe_folder, tiny, capsys):
    for name, needed in (("transfer", "stage 2"), ("finetune", "stage 3"), ("synth", "stage 4"), ("score", "stage 5")):
        assert stage(name, recipe_folder, tiny) == 1
        assert needed in capsys.readouterr().err
    shutil.rmtree(recipe_folder / "data/audio")
    assert stage("pretrain", recipe_folder, tiny) == 1
    assert "not a prepared data directory (no utt2num_frames); stage 1 makes it" in capsys.readouterr().err


def test_tempos_are_refused_where_a_stream_can_not_change_its_own(recipe_folder, tiny, capsys):
    tempos, tokens = ("--set", "augmentation.tempos=[0.9, 1.1]"), ("--set", "targets.tokens={type: tokens}")
    for wrong, what in (
        ("targets.f0={type: f0}", "target 'f0'"), ("predictor=exp/mel/finetune", "the output of the predictor"),
    ):  # fmt: skip
        assert stage("pretrain", recipe_folder, tiny, *tempos, *tokens, "--set", wrong) == 1
        error = capsys.readouterr().err
        assert f"augmentation.tempos: {what} is stored once for each utterance and can't change its tempo" in error


def test_synthesis_cannot_see_the_target(trained, tiny):
    assert stage("synth", trained, tiny) == 0
    out = trained / "exp/tiny/synth"
    first = {p.name: p.read_bytes() for p in (out / "pretrained").glob("*.wav")}
    utterances = read_manifest(trained / "data/test")
    assert len(first) == len(utterances) == 3
    for u in utterances:
        info = soundfile.info(out / "pretrained" / f"{u.id}.wav")
        assert (info.frames, info.samplerate) == (u.frames * 960, 24000)
    # Without the audio, the texts and their tables the speech is the same.
    shutil.rmtree(trained / "data/test/audio")
    for name in ("wav.scp", "text"):
        (trained / "data/test" / name).unlink()
    arguments = [str(trained / "data/test"), "--model", str(trained / "exp/tiny/finetune")]
    assert main(["synth-data", *arguments, "--out", str(trained / "again"), "--device", "cpu"]) == 0
    assert {p.name: p.read_bytes() for p in (trained / "again").glob("*.wav")} == first
    assert not {"audio", "text", "waveform", "mel"} & set(vars(read_silent(trained / "data/test")[0]))


def test_finished_stages_are_skipped(trained, tiny, capsys):
    log = trained / "exp/tiny/finetune/log.jsonl"
    before = log.stat().st_mtime_ns
    capsys.readouterr()
    assert stage("finetune", trained, tiny) == 0
    assert "finetune is finished, skipped" in capsys.readouterr().out
    assert log.stat().st_mtime_ns == before
    assert stage("finetune", trained, tiny, "--force", "--set", "scratch=false") == 0
    assert log.stat().st_mtime_ns != before


def test_exp_made_with_another_config_is_refused(trained, tiny, capsys):
    assert stage("finetune", trained, tiny, "--set", "finetune.learning_rate=0.5") == 1
    message = capsys.readouterr().err
    assert "was made with another config or data (finetune.learning_rate: 0.001 there, 0.5 now)" in message
    assert "another --exp, or --force" in message
    assert stage("finetune", trained, tiny, "--set", "finetune.workers=1") == 0


def test_scratch_has_the_same_steps_and_no_transfer(trained):
    config = (trained / "exp/tiny/scratch/config.yaml").read_text()
    assert "init: null" in config
    logs = [(trained / f"exp/tiny/{r}/log.jsonl").read_text().splitlines() for r in ("finetune", "scratch")]
    steps = [[json.loads(line)["step"] for line in log] for log in logs]
    assert steps[0] == steps[1]


def test_other_mel_settings_are_refused(trained, tiny, capsys):
    for name in ("transfer", "synth"):
        assert stage(name, trained, tiny, "--set", "mel.f_max=8000") == 1
        assert "mel.f_max: 12000.0 there, 8000.0 now" in capsys.readouterr().err
    best = checkpoint.best(trained / "exp/tiny/finetune")
    with pytest.raises(
        UserError, match=r"do not share their mel settings \(f_max: 12000.0 in checkpoint .*, 8000.0 in"
    ):
        Synthesiser.load(best, torch.device("cpu"), load_config(tiny, ["mel.f_max=8000"]))


def test_a2a_model_is_not_for_synthesis(trained, capsys):
    out = trained / "speech"
    arguments = [str(trained / "data/test"), "--model", str(trained / "exp/tiny/pretrain")]
    assert main(["synth-data", *arguments, "--out", str(out)]) == 1
    assert "audio-to-audio model" in capsys.readouterr().err and not out.exists()


def test_a_training_clip_without_audio_is_named(recipe_folder, tiny, capsys):
    table = recipe_folder / "data/train/wav.scp"
    lines = table.read_text().splitlines(keepends=True)
    table.write_text("".join(lines[1:]))
    for name in ("pretrain", "transfer"):
        assert stage(name, recipe_folder, tiny) == 0
    assert stage("finetune", recipe_folder, tiny) == 1
    assert f"1 utterances have no audio (e.g. {lines[0].split()[0]})" in capsys.readouterr().err


def test_prepared_with_another_clock_is_refused(recipe_folder, tiny, capsys):
    sets = ["--set", "clock.fps=20", "--set", "mel.hop=300"]
    assert stage("pretrain", recipe_folder, tiny, *sets) == 1
    assert "clock.fps: 25 there, 20 now" in capsys.readouterr().err


def test_unknown_device(recipe_folder, tiny, capsys):
    assert stage("pretrain", recipe_folder, tiny, "--device", "abacus") == 1
    assert "device abacus can't be used here" in capsys.readouterr().err
    assert not torch.cuda.is_initialized()


def test_two_processes_do_not_share_a_run(recipe_folder, tiny, capsys):
    with exclusive_lock(recipe_folder / "exp/tiny/pretrain"):
        assert stage("pretrain", recipe_folder, tiny) == 1
    assert "another process is at work in" in capsys.readouterr().err
    assert stage("pretrain", recipe_folder, tiny) == 0


def test_an_error_before_the_start_claims_and_deletes_nothing(trained, tiny, capsys):
    before = sorted((trained / "exp/tiny/finetune").iterdir())
    small = ["--set", "finetune.segment_frames=null", "--set", "finetune.batch_frames=5"]
    assert stage("finetune", trained, tiny, "--force", *small) == 1
    assert "raise batch_frames" in capsys.readouterr().err
    assert sorted((trained / "exp/tiny/finetune").iterdir()) == before
    new = ["--exp", str(trained / "new")]
    assert stage(
        "pretrain", trained, tiny, *new, "--set", "pretrain.segment_frames=null", "--set", "pretrain.batch_frames=5"
    )
    assert stage("pretrain", trained, tiny, *new) == 0


def test_a_run_on_other_data_is_refused(trained, tiny, capsys):
    settings = trained / "data/train/settings.json"
    settings.write_text(settings.read_text().replace("{", '{"digest": "other",', 1))
    assert stage("finetune", trained, tiny) == 1
    assert "made_from.data.train: None there, other now" in capsys.readouterr().err


def test_a_model_is_not_scored_where_its_training_clips_may_have_become_test_clips(recipe_folder, tiny, capsys):
    settings = recipe_folder / "data/train/settings.json"
    settings.write_text(settings.read_text().replace("{", '{"digest": "0123456789ab",', 1))
    for name in ("pretrain", "transfer", "finetune", "synth"):
        assert stage(name, recipe_folder, tiny) == 0
    settings.write_text(settings.read_text().replace("0123456789ab", "ba9876543210"))
    for name in ("synth", "score"):
        assert stage(name, recipe_folder, tiny) == 1
        assert (
            "scratch was made with another config or data (train has other utterances or files now)"
            in capsys.readouterr().err
        )
    shutil.rmtree(recipe_folder / "data/valid")
    assert stage("synth", recipe_folder, tiny) == 1, "what is here is compared"
    shutil.rmtree(recipe_folder / "data/train")  # as where a model is used without its training data
    assert stage("synth", recipe_folder, tiny) == 0


def test_a_clip_that_is_taken_from_the_tables_is_noticed(trained, tiny, capsys):
    """It may be a test clip now."""
    train = trained / "data/train"
    for name in ("wav.scp", "video.scp", "text", "utt2spk", "utt2num_frames"):
        (train / name).write_text("".join((train / name).read_text().splitlines(keepends=True)[1:]))
    for name in ("finetune", "synth"):
        assert stage(name, trained, tiny) == 1
        assert "(train has other utterances or files now)" in capsys.readouterr().err
    for name in ("finetune", "scratch"):
        record = trained / "exp/tiny" / name / "config.yaml"
        tree = yaml.safe_load(record.read_text())
        assert tree["made_from"].pop("clips").keys() == {"train", "valid"}
        record.write_text(yaml.safe_dump(tree))  # as that of an earlier version
    assert stage("finetune", trained, tiny) == 0


def test_a_model_pretrained_in_another_recipe_is_transferred(tmp_path, tiny, capsys):
    audio, video = tmp_path / "audio_recipe", tmp_path / "video_recipe"
    data = [(audio, "audio"), (audio, "valid"), (video, "train"), (video, "valid"), (video, "test")]
    for seed, (folder, name) in enumerate(data):
        make_data(folder / "data" / name, 3, folder == video, seed)
    assert stage("pretrain", audio, tiny, "--set", "data.pretrain=[audio]") == 0
    given = f"pretrained={audio / 'exp/tiny'}"
    assert f"of an audio-visual recipe, with --set {given}" in capsys.readouterr().out
    assert stage("transfer", audio, tiny) == 1
    assert f"continues from its model with --set {given}" in capsys.readouterr().err
    assert stage("transfer", audio, tiny, "--set", given) == 1
    assert capsys.readouterr().err.endswith("stage 1 makes them\n")
    # The speaker vector, an input of the encoder, has the same width for other speakers.
    for name in ("pretrain", "transfer", "finetune", "synth", "score"):
        assert stage(name, video, tiny, "--set", given, "--set", "scoring.asr=null") == 0
    assert not (video / "exp/tiny/pretrain").exists()
    ledger = json.loads((video / "exp/tiny/transfer/ledger.json").read_text())
    assert ledger["shares"]["decoder"] == ledger["shares"]["encoder"] == 1 and ledger["shares"]["speaker"] == 0
    init = checkpoint.load(video / "exp/tiny/transfer/init")
    source = checkpoint.load(checkpoint.best(audio / "exp/tiny/pretrain"))
    moved = [name for name in init.weights if name.startswith("decoder.")]
    assert moved and all(torch.equal(init.weights[n], (source.averaged or source.weights)[n]) for n in moved)
    assert init.meta.speakers == ["s0", "s1"]


def test_models_that_can_not_be_transferred_from_are_refused(trained, tiny, capsys):
    other = ("--exp", "exp/other", "--set")
    assert stage("transfer", trained, tiny, *other, f"pretrained={trained / 'none'}") == 1
    assert "none does not exist; pretrained: give the experiment" in capsys.readouterr().err
    assert stage("transfer", trained, tiny, *other, f"pretrained={trained / 'exp/tiny/finetune'}") == 1
    assert "is no audio-to-audio model" in capsys.readouterr().err
    mine = f"pretrained={trained / 'exp/tiny'}"
    assert stage("transfer", trained, tiny, *other, mine, "--set", "mel.f_max=8000") == 1
    assert "f_max" in capsys.readouterr().err
    make_data(trained / "data/more", 3, seed=7)
    table = trained / "data/more/utt2spk"
    table.write_text(table.read_text().replace(" s1", " s9"))
    sets = (mine, "data.train=more", "transfer.speaker={}")
    assert stage("transfer", trained, tiny, "--exp", "exp/other", *(x for s in sets for x in ("--set", s))) == 1
    assert "has other speakers than the videos (2); --set transfer.speaker=null" in capsys.readouterr().err


def test_a_model_is_not_used_after_its_pretraining_was_repeated(trained, tiny, capsys):
    assert stage("pretrain", trained, tiny, "--force", "--set", "pretrain.steps=2") == 0
    for name in ("finetune", "synth"):
        assert stage(name, trained, tiny, "--set", "pretrain.steps=2") == 1
        message = capsys.readouterr().err
        assert "transfer was made with another config or data (the pre-trained model is another one now)" in message
    shutil.rmtree(trained / "exp/tiny/pretrain")  # fine-tuned models do not need it
    assert stage("synth", trained, tiny, "--set", "pretrain.steps=2") == 0


def test_data_that_were_prepared_with_other_settings_are_noted(recipe_folder, tiny, capsys):
    corpus = load_config(tiny).corpus
    for name in ("audio", "train", "valid"):
        settings = recipe_folder / "data" / name / "settings.json"
        filters = {**vars(load_config(tiny).prepare.filters), "min_seconds": 0.5}
        made_of = {"corpus": corpus_settings(corpus), "filters": filters}
        made_of |= {"offset": "measure"} if name == "audio" else {}  # 0.1 has no offsets
        settings.write_text(json.dumps({**json.loads(settings.read_text()), **made_of}))
    same = ("--set", "prepare.filters.min_seconds=0.5", "--set", "corpus.jobs=3", "--set", "prepare.offset=measure")
    assert stage("pretrain", recipe_folder, tiny, *same) == 0
    assert "note" not in capsys.readouterr().out
    assert stage("pretrain", recipe_folder, tiny, "--set", "corpus.seed=7") == 0
    printed = capsys.readouterr().out
    assert "data/audio was prepared with other settings (corpus.seed: " in printed
    assert "prepare.filters.min_seconds: 0.5 there, None now); stage 1 prepares it again" in printed
    assert printed.count("prepare.offset: measure there, correct now") == 1
    elsewhere = ("--set", "data.pretrain=[../other/audio]", "--set", "data.pretrain_valid=../other/valid")
    shutil.copytree(recipe_folder / "data", recipe_folder / "other")
    assert stage("pretrain", recipe_folder, tiny, *elsewhere, "--exp", str(recipe_folder / "exp/other")) == 0
    assert "note" not in capsys.readouterr().out
    other = ("--set", "corpus={type: custom, corpus_dir: x}")
    assert stage("pretrain", recipe_folder, tiny, *other) == 0
    assert "note" not in capsys.readouterr().out


def test_an_experiment_among_the_data_is_refused(recipe_folder, tiny, capsys):
    for folder in ("data", "data/train"):
        assert stage("pretrain", recipe_folder, tiny, "--exp", str(recipe_folder / folder)) == 1
        assert "is where the data directories are" in capsys.readouterr().err


def test_speech_of_another_model_is_not_kept(trained, tiny, capsys):
    run, out = trained / "exp/tiny", trained / "out"
    data = str(trained / "data/test")
    spoken = []
    for name in ("finetune", "scratch"):
        assert main(["synth-data", data, "--model", str(run / name), "--out", str(out), "--device", "cpu"]) == 0
        spoken.append({p.name: p.read_bytes() for p in out.glob("*.wav")})
    assert spoken[0].keys() == spoken[1].keys() and all(spoken[0][n] != spoken[1][n] for n in spoken[0])
    (trained / "full").mkdir()
    (trained / "full/mine.txt").touch()
    assert main(["synth-data", data, "--model", str(run / "scratch"), "--out", str(trained / "full")]) == 1
    assert "contains other files" in capsys.readouterr().err


def test_force_repairs_damaged_records(trained, tiny, capsys):
    exp = trained / "exp/tiny"
    for name in ("synth", "score"):
        assert stage(name, trained, tiny, "--set", "scoring.asr=null") == 0
    (exp / "scored.json").write_text("{")
    (exp / "synth/copy_synthesis/source.json").write_text("{")
    for name in ("synth", "score"):
        assert stage(name, trained, tiny, "--set", "scoring.asr=null") == 1
        assert "--force" in capsys.readouterr().err
        assert stage(name, trained, tiny, "--set", "scoring.asr=null", "--force") == 0


def test_an_experiment_of_an_earlier_version_is_continued(trained, tiny, capsys):
    """Its checkpoints have no digest, and its records those of the files of weights."""
    exp = trained / "exp/tiny"
    for name in ("synth", "score"):
        assert stage(name, trained, tiny, "--set", "scoring.asr=null") == 0
    former = {}
    for meta in exp.rglob(checkpoint.META):
        tree = json.loads(meta.read_text())
        weights = (meta.parent / checkpoint.WEIGHTS).read_bytes()
        former[tree.pop("digest")] = hashlib.sha256(weights).hexdigest()[:12]
        meta.write_text(json.dumps(tree))
    files = [*exp.rglob("config.yaml"), *exp.rglob("source.json"), exp / "scored.json"]
    for path in files:
        text = path.read_text()
        for now, before in former.items():
            text = text.replace(now, before)
        path.write_text(text)
    transfer = exp / "transfer/config.yaml"
    transfer.write_text(transfer.read_text().replace("  pretrained: ", "  step: 4\n  digest: "))

    def modified() -> dict[Path, int]:
        return {path: path.stat().st_mtime_ns for path in exp.rglob("*") if path.is_file() and path.suffix != ".lock"}

    before = modified()
    for name in ("pretrain", "transfer", "finetune", "synth", "score"):
        assert stage(name, trained, tiny, "--set", "scoring.asr=null") == 0
    assert modified() == before
    assert capsys.readouterr().out.count("finished, skipped") == 4


def test_damaged_data_in_a_worker_are_named(recipe_folder, tiny, capsys):
    next((recipe_folder / "data/audio/audio").iterdir()).write_bytes(b"no sound")
    assert stage("pretrain", recipe_folder, tiny, "--set", "pretrain.workers=1") == 1
    message = capsys.readouterr().err
    assert "can't be read" in message and "Traceback" not in message
