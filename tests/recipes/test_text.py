"""Text supervision through the stages: tokens, CTC, lip reading in the results, and what is refused before training."""

import json
import shutil

import pytest
import torch
import yaml

from tests.conftest import ROOT, make_data, stages, write
from v2skit.cli.main import main
from v2skit.data.augment import centre_crop, normalise
from v2skit.data.batch import Inputs
from v2skit.data.data_dir import read_manifest, read_silent
from v2skit.media.crops import read_crops
from v2skit.models import checkpoint
from v2skit.synthesis.lip_reading import read_hypotheses
from v2skit.synthesis.synthesiser import load

TEXT = str(ROOT / "egs/conf/text.yaml")
TRAINING = ("pretrain", "transfer", "finetune")


@pytest.fixture
def text(tmp_path, tiny):
    """A tiny config with text supervision; the clips are whole."""
    runs = {"steps": 4, "batch_frames": 60, "log_every": 1, "workers": 0}
    heads = {"ctc": {"upsampling": 3}}  # the texts have 21 characters, the clips 10 to 20 frames
    return write(tmp_path / "text.yaml", tiny, [TEXT], pretrain=runs, finetune=runs, networks={"heads": heads})


def replace_texts(folder, names, change):
    """Change the tables ``text`` of data directories by a function of their lines; no lines: no table."""
    for name in names:
        table = folder / "data" / name / "text"
        lines = change(table.read_text().splitlines())
        table.write_text("".join(f"{line}\n" for line in lines)) if lines else table.unlink()


def test_a_head_reads_lips_from_pretraining_to_the_table(recipe_folder, text, capsys):
    assert stages(recipe_folder, text, *TRAINING, "synth", "score") == 0
    exp = recipe_folder / "exp/text"
    for run in ("pretrain", "finetune", "scratch"):
        rows = [json.loads(line) for line in (exp / run / "log.jsonl").read_text().splitlines()]
        assert all(row["ctc"] > 0 for row in rows)
    ledger = json.loads((exp / "transfer/ledger.json").read_text())
    assert ledger["shares"]["heads"] == 1
    test = read_manifest(recipe_folder / "data/test")
    for row in ("scratch", "pretrained"):
        assert read_hypotheses(exp / "synth" / row / "ctc.text").keys() == {u.id for u in test}
    assert not (exp / "synth/copy_synthesis/ctc.text").exists()
    found = json.loads((exp / "results.json").read_text())["lip_reading"]["ctc"]
    assert list(found["rows"]) == ["scratch", "pretrained"] and found["rows"]["pretrained"]["cer"]["n"] == len(test)
    assert found["rows"]["scratch"]["wer"]["mean"] > 0 and "pretrained - scratch" in found["differences"]
    assert "## Lip reading by head ctc" in capsys.readouterr().out


def test_hypotheses_do_not_depend_on_text_and_audio(recipe_folder, text):
    assert stages(recipe_folder, text, *TRAINING, "synth") == 0
    files = recipe_folder / "exp/text/synth/pretrained"
    before = (files / "ctc.text").read_bytes()
    shutil.rmtree(recipe_folder / "data/test/audio")
    for name in ("wav.scp", "text"):
        (recipe_folder / "data/test" / name).unlink()
    out = recipe_folder / "again"
    model = ["--model", str(recipe_folder / "exp/text/finetune"), "--out", str(out), "--device", "cpu"]
    assert main(["synth-data", str(recipe_folder / "data/test"), *model]) == 0
    assert (out / "ctc.text").read_bytes() == before


def test_a_window_at_a_time_reads_as_the_whole_clip_does_and_synth_prints_it(recipe_folder, text, tmp_path, capsys):
    networks = {"heads": {"ctc": {"on": "frontend", "upsampling": 3}}}
    config = write(tmp_path / "frontend.yaml", text, [], networks=networks)
    assert stages(recipe_folder, config, *TRAINING, sets=("scratch=false",)) == 0
    run = recipe_folder / "exp/frontend/finetune"
    synthesiser, clip = load(run, "cpu"), read_silent(recipe_folder / "data/test")[0]
    crops, speaker = read_crops(clip.video), synthesiser.voice("s0")
    video = torch.from_numpy(normalise(centre_crop(crops, synthesiser.config.augmentation.crop)))[None]
    inputs = Inputs({"video": video}, torch.ones(1, len(crops), dtype=torch.bool), torch.from_numpy(speaker)[None])
    with torch.no_grad():
        logits = synthesiser.model(inputs, heads=True).stream("tokens")
    wanted = synthesiser.model.heads["ctc"].decode(logits, inputs.mask)[0]
    assert synthesiser.read_crops("ctc", crops, speaker) == wanted != ""
    options = ["--model", str(run), "--voice", "s0", "--tracker", "none", "--device", "cpu", "--text"]
    options += ["--align", "textgrid", "--align", "ctm"]
    capsys.readouterr()
    assert main(["synth", str(clip.video), "-o", str(tmp_path / "speech.wav"), *options]) == 0
    assert f"\n  ctc: {wanted}\n" in capsys.readouterr().out
    grid, words = (tmp_path / f"speech{suffix}" for suffix in (".TextGrid", ".ctm"))
    rows = [line.split() for line in words.read_text().splitlines()[1:]]
    assert " ".join(row[4] for row in rows) == wanted and all(row[:2] == ["speech", "1"] for row in rows)
    ends = [float(start) + float(duration) for *_, start, duration, _ in rows]
    assert ends == sorted(ends) and 0 < ends[-1] <= clip.frames / 25 + 1e-3
    text = grid.read_text()
    assert f"xmax = {clip.frames / 25:.6g}\n" in text and 'name = "tokens"' in text
    # Files of others are not overwritten.
    assert main(["synth", str(clip.video), "-o", str(tmp_path / "speech.wav"), *options, "--force"]) == 0
    grid.write_text(f"{text.rpartition('!')[0]}")
    assert main(["synth", str(clip.video), "-o", str(tmp_path / "speech.wav"), *options, "--force"]) == 1
    assert "speech.TextGrid exists already and was not written by" in capsys.readouterr().err


def test_a_model_without_heads_reads_nothing(mel_run, tmp_path, capsys):
    clip = read_silent(mel_run.parents[2] / "data/test")[0]
    assert main(["synth", str(clip.video), "--model", str(mel_run), "--tracker", "none", "--text"]) == 1
    assert "--text: this model has no head that reads lips; train one" in capsys.readouterr().err
    options = ["--model", str(mel_run), "--tracker", "none", "--align", "ctm"]
    assert main(["synth", str(clip.video), *options]) == 1
    assert "--align: this model has no head that reads lips; train one" in capsys.readouterr().err


def test_hypotheses_of_another_model_are_replaced_and_missing_ones_are_named(recipe_folder, text, capsys):
    assert stages(recipe_folder, text, *TRAINING, "synth") == 0
    path = recipe_folder / "exp/text/synth/pretrained/ctc.text"
    path.write_text("of another model\n")
    assert stages(recipe_folder, text, "synth") == 0
    assert path.read_text() == "of another model\n", "existing files are skipped"
    assert stages(recipe_folder, text, "synth", sets=("vocoder.iterations=3",)) == 0
    assert "another" not in path.read_text()
    path.unlink()
    assert stages(recipe_folder, text, "score", sets=("vocoder.iterations=3",)) == 1
    assert "ctc.text can't be read" in (message := capsys.readouterr().err) and "run stage 5 again" in message


def test_a_corpus_without_text_is_refused_before_training(recipe_folder, text, capsys):
    replace_texts(recipe_folder, ("audio", "train", "valid"), lambda lines: [])
    assert stages(recipe_folder, text, "pretrain") == 1
    message = capsys.readouterr().err
    assert "target 'tokens' can't be fitted to" in message and "none of the utterances has text" in message
    assert str(recipe_folder / "data/audio") in message and str(recipe_folder / "data/train") in message
    assert "give a data directory a table 'text'" in message and not (recipe_folder / "exp/text/pretrain").exists()


def test_audio_without_text_names_its_directories(recipe_folder, text, capsys):
    replace_texts(recipe_folder, ("audio",), lambda lines: [])
    assert stages(recipe_folder, text, "pretrain") == 1
    message = capsys.readouterr().err
    assert f"no values for any utterance of {recipe_folder / 'data/audio'}: none of them has text" in message


def test_some_untranscribed_utterances_are_no_error(recipe_folder, text):
    replace_texts(recipe_folder, ("audio", "train"), lambda lines: lines[:2])
    replace_texts(recipe_folder, ("valid", "test"), lambda lines: [])
    assert stages(recipe_folder, text, *TRAINING, "synth", "score", sets=("scratch=false",)) == 0
    exp = recipe_folder / "exp/text"
    found = json.loads((exp / "results.json").read_text())
    assert "lip_reading" not in found and found["rows"]["pretrained"]["estoi"]["n"] > 0
    assert "error rates of words, left out: no clip of " in (exp / "results.md").read_text()


def test_a_tokenizer_of_other_text_is_refused(recipe_folder, text, capsys):
    assert stages(recipe_folder, text, *TRAINING, sets=("scratch=false",)) == 0
    make_data(recipe_folder / "data/more", 3, seed=9)
    replace_texts(recipe_folder, ("more",), lambda lines: [f"{line} QUIZ" for line in lines])
    sets = ("scratch=false", "data.train=more", "finetune.steps=8")
    assert stages(recipe_folder, text, "finetune", sets=sets) == 1
    message = capsys.readouterr().err
    assert "the target 'tokens' was fitted to other data" in message or "different targets 'tokens'" in message


def test_a_tokenizer_with_other_settings_is_refused(recipe_folder, text, capsys):
    assert stages(recipe_folder, text, *TRAINING, sets=("scratch=false",)) == 0
    sets = ("scratch=false", "targets.tokens.tokenizer.punctuation=true", "finetune.steps=8")
    assert stages(recipe_folder, text, "finetune", sets=sets) == 1
    assert "targets.tokens.tokenizer.punctuation" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("sets", "message"),
    [
        (("networks.heads.ctc=null",), "loss 'ctc' needs models with output tokens, this one has output mel"),
        (("targets.tokens=null", "networks.heads.ctc=null"), "loss 'ctc' needs models with output tokens"),
        (("targets.tokens=null",), "head 'ctc': stream 'tokens' is not a target with a tokenizer; add it"),
        (("networks.heads.ctc.upsampling=0",), "upsampling"),
        (("networks.heads.ctc.upsampling=1",), "0 are trained on; 6 have more tokens than logits: set upsampling: "),
        (("pretrain.segment_frames=8",), "6 are cut to segments: set segment_frames: null"),
    ],
)
def test_a_broken_chain_is_named_before_training(recipe_folder, text, capsys, sets, message):
    assert stages(recipe_folder, text, "pretrain", sets=sets) == 1
    assert message in capsys.readouterr().err


def test_texts_that_are_too_long_are_noted(recipe_folder, text, capsys):
    replace_texts(recipe_folder, ("audio",), lambda lines: [f"{lines[0]} AND AGAIN AND AGAIN AND AGAIN", *lines[1:]])
    assert stages(recipe_folder, text, "pretrain", sets=("networks.heads.ctc.upsampling=2",)) == 0
    assert "note: networks.heads.ctc: of 6 utterances with tokens, 5 are trained on; 1 have" in capsys.readouterr().out


def test_a_checkpoint_has_its_tokenizer(recipe_folder, text):
    pytest.importorskip("sentencepiece", reason="sentencepiece is not installed")
    config = yaml.safe_load(text.read_text())
    config["targets"] = {"tokens": {"tokenizer": {"type": "sentencepiece", "model": "bpe", "vocab_size": 30}}}
    text.write_text(yaml.safe_dump(config))
    assert stages(recipe_folder, text, *TRAINING, sets=("scratch=false",)) == 0
    run = recipe_folder / "exp/text/finetune"
    assert checkpoint.read_meta(checkpoint.best(run)).targets["tokens"].keys() == {"model", "size"}
    shutil.rmtree(recipe_folder / "data")
    model = load(run, "cpu").model
    head = model.heads["ctc"]
    assert head.tokenizer.decode(head.tokenizer.encode("BIN BLUE")) == "bin blue"
    assert head.linear.out_features == head.upsampling * (head.tokenizer.size + 1)
    assert torch.isfinite(head.linear.weight).all()


def test_a_killed_run_with_text_ends_as_a_whole_one(recipe_folder, text, tmp_path, capsys, monkeypatch):
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    replace_texts(recipe_folder, ("audio",), lambda lines: lines[:3])
    options = ["--config", str(text), "--work_dir", str(recipe_folder), "--exp", str(tmp_path / "verify")]
    assert main(["verify-resume", *options, "--steps", "10", "--kills", "1", "--set", "pretrain.ema_decay=0.9"]) == 0
    assert "are the same, bit for bit, after 1 kills" in capsys.readouterr().out
