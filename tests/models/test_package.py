"""A packed model synthesises the speech of its run, is described by its header, and damage to it is named."""

import json
import re
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file

from tests.cases.model import untrained_run
from tests.conftest import ISTFT, WAVEFORM, stages, vocoder_config, write
from v2skit.cli.main import main
from v2skit.errors import UserError
from v2skit.models import checkpoint
from v2skit.models.pack_header import FORMAT, Card, read_card, read_header
from v2skit.models.pack_parts import read_part
from v2skit.models.pack_weights import SCALE
from v2skit.models.package import describe, pack, vocoder_of
from v2skit.models.places import open_model
from v2skit.registry.files import digest_of
from v2skit.registry.trust import trusting
from v2skit.synthesis.synthesiser import load
from v2skit.system.provenance import Provenance

CARD = Card("hum", "hums, made on the spot", "CC0", "nobody's voice")
FULL_CARD = """
name: Hum
made_for: "hums,\\n nothing else"
data: hums, made on the spot
licence: CC0
limits: no words
credits: ["hums: nobody, CC0", "squares: nobody, CC0"]
"""


def speak(model: Path, data: Path, out: Path, *more: str) -> dict[str, bytes]:
    options = ["--model", str(model), "--out", str(out), "--device", "cpu", *more]
    assert main(["synth-data", str(data), *options]) == 0
    return {path.name: path.read_bytes() for path in out.glob("*.wav")}


def header_of(path: Path) -> dict:
    """The header as it is in the file."""
    with safe_open(path, "pt") as file:
        return json.loads(file.metadata()["v2skit"])


def test_a_pack_synthesises_the_speech_of_its_run_without_it(mel_run, recipe_folder, tiny, tmp_path, capsys):
    data = recipe_folder / "data/test"
    vocoder = vocoder_config(tmp_path, tiny)
    assert stages(recipe_folder, vocoder, "pretrain") == 0
    trained = recipe_folder / "exp/vocoder/pretrain"
    wanted = speak(mel_run, data, tmp_path / "a", "--vocoder", str(trained))
    plain = speak(mel_run, data, tmp_path / "b")
    assert len(wanted) == 3 and wanted != plain
    with_vocoder, without = tmp_path / "with.v2s", tmp_path / "without.v2s"
    assert (
        main(["pack", str(mel_run.parent), "-o", str(with_vocoder), "--vocoder", str(trained), "--data", "hums"]) == 0
    )
    assert main(["pack", str(mel_run), "-o", str(without)]) == 0
    assert "without scores: no results of these weights and this vocoder" in capsys.readouterr().out
    shutil.rmtree(recipe_folder / "exp")  # nothing but the file is needed
    assert speak(with_vocoder, data, tmp_path / "c") == wanted
    assert speak(without, data, tmp_path / "d") == plain
    assert speak(without, data, tmp_path / "e", "--vocoder", str(with_vocoder)) == wanted  # a pack is a vocoder as well
    capsys.readouterr()
    assert main(["info", str(with_vocoder)]) == 0
    info = capsys.readouterr().out
    assert "25 frames/s, mouth crops of 96 pixels, of which the networks see the central 88\n" in info
    assert "with: video-to-speech" in info and "vocoder:   trained" in info and "hums" in info and "s0, s1" in info
    with pytest.raises(UserError, match="has no vocoder in it; pack it again with one"):
        read_part(without, "vocoder")


def test_pack_of_a_raw_model_holds_scores_and_needs_no_vocoder(recipe_folder, tiny, tmp_path, monkeypatch):
    config = write(tmp_path / "raw.yaml", tiny, [WAVEFORM], networks={"decoder": ISTFT}, scratch=False)
    assert stages(recipe_folder, config, "pretrain", "transfer", "finetune", "synth", "score") == 0
    exp, out = recipe_folder / "exp/raw", tmp_path / "raw.v2s"
    pack(exp, out, None, CARD)
    header = read_header(out)
    assert (
        header.vocoder is None
        and header.scores["row"] == json.loads((exp / "results.json").read_text())["rows"]["pretrained"]
    )
    assert header.digest["model"] == checkpoint.digest(checkpoint.best(exp / "finetune"))
    info = describe(out)
    assert re.search(r" estoi [-\d.]+ \[[-\d.]+, [-\d.]+\]", info)
    assert all(text in info for text in ("none, it outputs waveforms", "CC0", "nobody's voice"))
    spoken = {path.name: path.read_bytes() for path in (exp / "synth/pretrained").glob("*.wav")}
    assert speak(out, recipe_folder / "data/test", tmp_path / "out") == spoken
    with pytest.raises(UserError, match="outputs waveforms and needs no vocoder"):
        pack(exp, out, exp / "pretrain", CARD)
    folder = checkpoint.best(exp / "finetune")
    monkeypatch.chdir(folder.parent)
    pack(Path(folder.name), tmp_path / "relative.v2s", None, CARD)
    assert read_header(tmp_path / "relative.v2s").scores == header.scores
    # Scores of other weights are not packed with these.
    scored = Provenance.read(exp / "scored.json")
    Provenance({**scored.values, "speech.pretrained.digest": "other"}).write(exp / "scored.json")
    pack(exp, out, None, CARD)
    assert read_header(out).scores is None and "estoi" not in describe(out)


def test_a_card_from_a_file_is_described_and_options_replace_its_fields(mel_run, tmp_path, capsys):
    path, out = tmp_path / "card.yaml", tmp_path / "hum.v2s"
    path.write_text(FULL_CARD)
    assert main(["pack", str(mel_run), "-o", str(out), "--card", str(path), "--licence", "CC BY 4.0"]) == 0
    card = read_header(out).card
    assert card == read_card(path, licence="CC BY 4.0") and card.licence == "CC BY 4.0" and card.limits == "no words"
    assert card.headline == "Hum: hums, nothing else"
    info = describe(out)
    assert "made for:  hums,\n            nothing else\n" in info and "CC0\n           squares: nobody, CC0\n" in info
    assert "notes:     not stated" in info
    assert CARD.headline == "" and Card("a\x1b[31m", made_for="b").headline == "a?[31m: b"
    capsys.readouterr()
    more = tmp_path / "more.yaml"
    more.write_text("limits: nor tunes\ncredits: ['circles: nobody, CC0']\n")
    assert main(["pack", str(mel_run), "-o", str(tmp_path / "two.v2s"), "--card", str(path), "--card", str(more)]) == 0
    both = read_header(tmp_path / "two.v2s").card
    assert both.limits == "no words\nnor tunes" and both.credits == [*card.credits, "circles: nobody, CC0"]
    assert (both.name, both.headline, both.licence) == (card.name, card.headline, read_card(path).licence)
    more.write_text("name: Hum 2\nmade_for: tunes\nlicence: MIT\ndata: more squares\nnotes: new\n")
    capsys.readouterr()
    assert read_card(path, more) == replace(
        read_card(path), name="Hum 2", made_for="tunes", licence="MIT", data=f"{card.data}\nmore squares", notes="new"
    )
    assert (
        read_card(path, more, path).credits == [*card.credits, *card.credits]
        and read_card(path, more, path).name == "Hum"
    )
    assert read_card(more, name="Hum 3", data="").name == "Hum 3" and read_card(more, data="none").data == "none"
    path.write_text("nmae: Hum\n")
    assert main(["pack", str(mel_run), "-o", str(tmp_path / "other.v2s"), "--card", str(path)]) == 1
    assert "unknown key 'nmae'; did you mean 'name'?" in capsys.readouterr().err
    with pytest.raises(UserError, match="none.yaml does not exist; give the YAML file of a card"):
        read_card(tmp_path / "none.yaml")


LARGE = {"type": "conformer", "size": None, "blocks": 1, "dim": 16, "heads": 2, "ff_dim": 256, "conv_kernel": 3}
"""An encoder with matrices that are large enough for int8."""


def test_a_pack_in_float16_or_int8_synthesises_almost_the_same_speech(recipe_folder, tiny, tmp_path):
    networks = {"encoder": LARGE, "decoder": {**ISTFT, "dim": 32}}
    config = write(tmp_path / "raw.yaml", tiny, [WAVEFORM], networks=networks, scratch=False)
    assert stages(recipe_folder, config, "pretrain", "transfer", "finetune") == 0
    exp, data = recipe_folder / "exp/raw", recipe_folder / "data/test"
    whole = tmp_path / "float32.v2s"
    assert main(["pack", str(exp), "-o", str(whole)]) == 0
    exact = read_part(whole, "model")
    speak(whole, data, tmp_path / "float32")
    cases = (("--half", "float16", 0.6, 2**-11, 40), ("--int8", "int8", 0.45, 0.501 / 127, 35))
    for option, name, size, tolerance, least_snr in cases:
        path = tmp_path / f"{name}.v2s"
        assert main(["pack", str(exp), "-o", str(path), option]) == 0
        rounded = read_part(path, "model")
        assert tensor_bytes(path) < size * tensor_bytes(whole)
        assert rounded.weights.keys() == exact.weights.keys()
        assert {value.dtype for value in rounded.weights.values()} == {value.dtype for value in exact.weights.values()}
        assert rounded.meta.digest != exact.meta.digest
        assert f"\nweights:   {name}\n" in describe(path)
        for key, value in exact.weights.items():  # vectors are exact
            rows = value.flatten(1) if value.ndim > 1 else torch.zeros(1, 1)
            error = (rounded.weights[key] - value).reshape(len(rows), -1).abs()
            assert (error <= tolerance * rows.abs().amax(1, keepdim=True)).all(), key
        speak(path, data, tmp_path / name)
        for file in (tmp_path / "float32").glob("*.wav"):
            wanted, got = (soundfile.read(folder / file.name)[0] for folder in (file.parent, tmp_path / name))
            snr = 10 * np.log10(np.square(wanted).mean() / np.square(got - wanted).mean())
            assert least_snr < snr < 100, (name, snr)
    assert "\nweights:   float32\n" in describe(whole)


def test_half_and_int8_exclude_each_other(mel_run, tmp_path, capsys):
    with pytest.raises(SystemExit):
        main(["pack", str(mel_run), "-o", str(tmp_path / "model.v2s"), "--half", "--int8"])
    assert "argument --int8: not allowed with argument --half" in capsys.readouterr().err
    assert not (tmp_path / "model.v2s").exists()


def test_a_damaged_scale_is_found_by_the_digest(tmp_path):
    pack(untrained_run(tmp_path), tmp_path / "good.v2s", None, CARD, precision="int8")
    tensors, header = load_file(tmp_path / "good.v2s"), header_of(tmp_path / "good.v2s")
    scales = [name for name in tensors if name.endswith(SCALE)]
    assert scales and tensors[scales[0].removesuffix(SCALE)].dtype == torch.int8
    read_part(tmp_path / "good.v2s", "model")
    damaged, changed = tmp_path / "damaged.v2s", dict(tensors)
    changed[scales[0]] = tensors[scales[0]].clone()
    changed[scales[0]][-1] *= 1 + 2**-20
    for found in (changed, {name: value for name, value in tensors.items() if name != scales[0]}):
        save_file(found, damaged, {"v2skit": json.dumps(header)})
        with pytest.raises(UserError, match=r"damaged.v2s is damaged: its weights do not match"):
            read_part(damaged, "model")
    # A pack whose digest is that of scales which do not fit is refused by the module.
    changed[scales[0]] = changed[scales[0]][:-1].clone()
    model = {name.removeprefix("model."): value for name, value in changed.items() if name.startswith("model.")}
    header["digest"]["model"] = checkpoint.weights_digest(model)
    save_file(changed, damaged, {"v2skit": json.dumps(header)})
    with pytest.raises(UserError, match="does not fit the model"):
        load(damaged, "cpu")


@pytest.mark.parametrize("number", [2, 3])
def test_packs_of_the_formats_before_int8_are_read(tmp_path, number):
    good, before = tmp_path / "good.v2s", tmp_path / "before.v2s"
    pack(untrained_run(tmp_path), good, None, CARD, precision="float16")
    save_file(load_file(good), before, {"v2skit": json.dumps({**header_of(good), "format": number})})
    found, wanted = (read_part(path, "model") for path in (before, good))
    assert found.meta.digest == wanted.meta.digest and found.weights.keys() == wanted.weights.keys()
    assert all(torch.equal(value, wanted.weights[name]) for name, value in found.weights.items())


def tensor_bytes(path: Path) -> int:
    with safe_open(path, "pt") as file:
        return sum(file.get_tensor(name).nbytes for name in file.keys())  # noqa: SIM118  it is no dict


def test_a_pack_replaces_no_file_unless_told_to(mel_run, tmp_path, capsys):
    out = tmp_path / "model.v2s"
    out.write_bytes(b"of others")
    command = ["pack", str(mel_run), "-o", str(out)]
    assert main(command) == 1 and "exists; name another file with -o" in capsys.readouterr().err
    assert out.read_bytes() == b"of others"
    assert main([*command, "--force"]) == 0 and main(["info", str(out)]) == 0


def test_what_float16_cannot_hold_stays_as_it_is(mel_run, tmp_path):
    folder = checkpoint.best(mel_run)
    saved = checkpoint.load(folder)
    name = next(name for name, value in saved.weights.items() if value.ndim > 1)
    saved.weights[name].view(-1)[0] = 1e6
    checkpoint.save(checkpoint.Checkpoint(saved.meta, saved.weights), folder)
    pack(folder, tmp_path / "half.v2s", None, CARD, precision="float16")
    assert (read_part(tmp_path / "half.v2s", "model").weights[name] == saved.weights[name]).all()


def test_a_vocoder_that_is_named_has_the_arguments_of_the_same_run_in_the_config_and_of_the_scores(
    mel_run, recipe_folder, tiny, tmp_path
):
    assert stages(recipe_folder, vocoder_config(tmp_path, tiny), "pretrain") == 0
    folder, trained = checkpoint.best(mel_run), recipe_folder / "exp/vocoder/pretrain"
    meta = json.loads((folder / checkpoint.META).read_text())
    meta["config"]["vocoder"] = {"type": "trained", "run": str(trained), "corrections": 0}
    (folder / checkpoint.META).write_text(json.dumps(meta))
    exp, digests = mel_run.parent, [checkpoint.digest(path) for path in (folder, checkpoint.best(trained))]
    (exp / "results.json").write_text('{"rows": {"pretrained": {"estoi": {"mean": 0.5}}}}')
    for corrections in (0, 8):
        vocoder = {"type": "trained", "run": "exp/vocoder", "corrections": corrections, "digest": digests[1]}
        Provenance({"speech": {"pretrained": {"digest": digests[0], "vocoder": vocoder}}}).write(exp / "scored.json")
        pack(folder, tmp_path / "model.v2s", trained, CARD)
        header = read_header(tmp_path / "model.v2s")
        assert header.vocoder == {"type": "trained", "corrections": 0}
        assert (header.scores is None) == (corrections != 0)
    for other in ("elsewhere", str(mel_run)):
        meta["config"]["vocoder"]["run"] = other
        (folder / checkpoint.META).write_text(json.dumps(meta))
        pack(folder, tmp_path / "model.v2s", trained, CARD)
        assert read_header(tmp_path / "model.v2s").vocoder == {"type": "trained", "corrections": None}, other


def test_a_pack_does_not_tell_where_its_vocoder_was(mel_run, recipe_folder, tiny, tmp_path):
    assert stages(recipe_folder, vocoder_config(tmp_path, tiny), "pretrain") == 0
    trained, data = recipe_folder / "exp/vocoder/pretrain", recipe_folder / "data/test"
    for folder in checkpoint.all_checkpoints(mel_run):
        meta = json.loads((folder / checkpoint.META).read_text())
        meta["config"]["vocoder"] = {"type": "trained", "run": str(trained), "corrections": 0}
        (folder / checkpoint.META).write_text(json.dumps(meta))
    wanted = speak(mel_run, data, tmp_path / "wanted")
    for name, more in (("own", None), ("named", trained)):
        out = tmp_path / f"{name}.v2s"
        pack(mel_run, out, more, CARD)
        assert str(recipe_folder) not in json.dumps(header_of(out))
    shutil.rmtree(recipe_folder / "exp")
    for name in ("own", "named"):
        assert speak(tmp_path / f"{name}.v2s", data, tmp_path / name) == wanted
    again = speak(tmp_path / "own.v2s", data, tmp_path / "again", "--vocoder", str(tmp_path / "named.v2s"))
    assert again.keys() == wanted.keys()


def test_the_vocoder_of_a_pack_of_an_earlier_format_is_corrected_as_it_was(mel_run, tmp_path):
    good, before = tmp_path / "good.v2s", tmp_path / "before.v2s"
    pack(mel_run, good, None, CARD)
    header = header_of(good)
    for number, arguments, rounds in ((1, {}, 8), (2, {}, 8), (2, {"corrections": 3}, 3), (FORMAT, {}, None)):
        changed = {**header, "format": number, "vocoder": {"type": "trained", **arguments}}
        save_file({"x": torch.zeros(1)}, before, {"v2skit": json.dumps(changed)})
        assert vocoder_of(before).args["corrections"] == rounds


def test_wrong_packs_are_refused(mel_run, tmp_path):
    good = tmp_path / "good.v2s"
    pack(mel_run, good, None, CARD)
    text, cut, other = tmp_path / "text.v2s", tmp_path / "cut.v2s", tmp_path / "other.v2s"
    text.write_text("no model")
    cut.write_bytes(good.read_bytes()[:1000])
    save_file({"x": torch.zeros(1)}, other)
    for path in (text, cut, other):
        with pytest.raises(UserError, match="is no v2skit model, or is damaged"):
            read_header(path)
    header = header_of(good)
    newer, foreign = tmp_path / "newer.v2s", tmp_path / "foreign.v2s"
    save_file({"x": torch.zeros(1)}, newer, {"v2skit": json.dumps({**header, "format": FORMAT + 1, "v2skit": "9.0"})})
    with pytest.raises(UserError, match="was packed by v2skit 9.0"):
        read_header(newer)
    header["meta"]["model"]["plugins"]["gone"] = "1.0"
    save_file({"x": torch.zeros(1)}, foreign, {"v2skit": json.dumps(header)})
    with pytest.raises(UserError, match="made with plug-in 'gone' 1.0, which is not installed"):
        read_part(foreign, "model")
    with pytest.raises(UserError, match="the name of a pack ends in .v2s"):
        pack(mel_run, tmp_path / "model.zip", None, CARD)
    with pytest.raises(UserError, match="is no video-to-audio model"):
        pack(mel_run.parent / "pretrain", tmp_path / "a2a.v2s", None, CARD)
    with pytest.raises(UserError, match="does not exist; stage 4 makes one"):
        pack(tmp_path / "nothing", tmp_path / "x.v2s", None, CARD)


@pytest.mark.parametrize(
    ("place", "value", "message"),
    [
        (
            ("meta", "model", "config", "plugins"),
            [{"name": "own.py"}],
            "needs the plug-in file own.py, and a pack",
        ),
        (("meta", "model", "config", "plugins"), 3, "needs the plug-in file 3"),
        (("meta", "model", "config", "networks", "decoder", "type"), "own:Decoder", "needs own:Decoder"),
        (("vocoder", "type"), "subprocess:Popen", "needs subprocess:Popen, and a pack runs only v2skit and installed"),
    ],
)
def test_code_in_a_pack_is_refused_and_not_run(mel_run, tmp_path, place, value, message):
    good, foreign = tmp_path / "good.v2s", tmp_path / "foreign.v2s"
    pack(mel_run, good, None, CARD)
    header = header_of(good)
    branch = header
    for key in place[:-1]:
        branch = branch[key]
    branch[place[-1]] = value
    save_file({"x": torch.zeros(1)}, foreign, {"v2skit": json.dumps(header)})
    with trusting(), pytest.raises(UserError, match=message):
        read_part(foreign, "model")
    assert main(["synth-data", "data", "--model", str(foreign), "-o", str(tmp_path / "out")]) == 1


def test_what_a_pack_cannot_hold_is_named_when_it_is_packed(mel_run, tmp_path):
    folder = checkpoint.best(mel_run)
    text = (folder / checkpoint.META).read_text()
    meta = json.loads(text)
    meta["config"]["plugins"] = [{"name": "hook.py", "digest": digest_of("x = 1"), "source": "x = 1"}]
    (folder / checkpoint.META).write_text(json.dumps(meta))
    pack(mel_run, tmp_path / "hook.v2s", None, CARD)  # no component of the model is of that file
    assert header_of(tmp_path / "hook.v2s")["meta"]["model"]["config"]["plugins"] == []
    meta["plugins"]["hook.py"] = digest_of("x = 1")
    (folder / checkpoint.META).write_text(json.dumps(meta))
    with pytest.raises(UserError, match=r"needs the plug-in file hook.py, which a pack can't hold; make a plug-in"):
        pack(mel_run, tmp_path / "used.v2s", None, CARD)
    meta = json.loads(text)
    meta["config"]["losses"]["l1"]["type"] = "my_module:Loss"
    (folder / checkpoint.META).write_text(json.dumps(meta))
    pack(mel_run, tmp_path / "loss.v2s", None, CARD)
    assert header_of(tmp_path / "loss.v2s")["meta"]["model"]["config"]["losses"].keys() == {"spectral_convergence"}
    meta["config"]["networks"]["encoder"]["type"] = "my_module:Encoder"
    (folder / checkpoint.META).write_text(json.dumps(meta))
    with pytest.raises(UserError, match=r"needs my_module:Encoder, which a pack can't hold"):
        pack(mel_run, tmp_path / "direct.v2s", None, CARD)


def test_damaged_packs_are_named_and_those_of_format_1_are_read(mel_run, tmp_path):
    good, damaged, before = (tmp_path / f"{name}.v2s" for name in ("good", "damaged", "before"))
    pack(mel_run, good, None, CARD)
    content = bytearray(good.read_bytes())
    content[-1] ^= 1
    damaged.write_bytes(content)
    with pytest.raises(UserError, match=r"damaged.v2s is damaged: its weights do not match .*; fetch or pack it again"):
        read_part(damaged, "model")
    header = header_of(good)
    header["format"], header["digest"] = 1, {"model": "0123456789ab"}  # of a file that is not in it
    del header["meta"]["model"]["digest"]
    with safe_open(good, "pt") as file:
        tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118  it is no dict
    save_file(tensors, before, {"v2skit": json.dumps(header)})
    saved = open_model(before, "model", "")
    assert saved.meta.digest == "0123456789ab"
    assert (
        checkpoint.weights_digest(saved.weights)
        == open_model(good, "model", "").meta.digest
        == checkpoint.digest(checkpoint.best(mel_run))
    )


@pytest.mark.skipif(not Path("/proc/self").exists(), reason="needs a folder that nobody can write to")
def test_a_pack_that_can_t_be_written_is_named(mel_run):
    with pytest.raises(UserError, match=r"/proc/model.v2s can't be written .*another folder"):
        pack(mel_run, Path("/proc/model.v2s"), None, CARD)
