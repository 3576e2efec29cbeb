"""Data directories with utterances that are spliced from those of one speaker."""

import itertools
from dataclasses import replace

import numpy as np
import pytest

from tests.conftest import make_data, stages
from v2skit.cli.main import main
from v2skit.data.data_dir import Utterance, read_manifest, read_settings, write_manifest
from v2skit.errors import UserError
from v2skit.evaluation.forced_alignment import ForcedAligner
from v2skit.evaluation.metrics import resample
from v2skit.media.audio import read_audio, write_audio
from v2skit.media.crops import read_crops, write_crops
from v2skit.models.speakers import d_vector
from v2skit.recipes.subsets import check_source, check_test_data

RATE, FRAMES, WORDS, PER_WORD = 24000, 20, 4, 5
SAMPLES = RATE // 25
FADE = 96


def numbered(directory, count: int = 6, speakers: int = 2) -> dict[str, Utterance]:
    """A prepared data directory: utterance n says ``nW0 nW1 nW2 nW3``, five frames each; the brightness of crops
    and the value of the audio tell utterance and word."""
    make_data(directory, 1)  # its settings are those of all
    for n in range(count):
        level = np.repeat(np.arange(WORDS) * 5 + 20 * n + 20, PER_WORD)
        video, audio = directory / "video" / f"{n}.mp4", directory / "audio" / f"{n}.flac"
        video.parent.mkdir(parents=True, exist_ok=True)
        write_crops(video, np.broadcast_to(level[:, None, None], (FRAMES, 96, 96)).astype(np.uint8), 25)
        write_audio(audio, np.repeat(level / 200, SAMPLES).astype(np.float32), RATE)
    utterances = [
        Utterance(
            f"u{n}", f"s{n % speakers}", FRAMES, directory / f"audio/{n}.flac", directory / f"video/{n}.mp4", said(n)
        )
        for n in range(count)
    ]
    write_manifest(directory, utterances, read_settings(directory))
    return {u.id: u for u in utterances}


def said(n: int) -> str:
    return " ".join(f"{n}W{word}" for word in range(WORDS))


def times(path, ids, late: float = 0.0):
    """A ctm file with the words of :func:`numbered`."""
    lines = [f"{u} 1 {late + 0.2 * w:.2f} 0.2 {u[1:]}w{w}" for u in ids for w in range(WORDS)]
    path.write_text("\n".join([";; words", *lines]) + "\n")
    return path


def test_words_pictures_and_sound_are_of_one_speakers_utterances_at_their_places(tmp_path, capsys):
    whole = numbered(tmp_path / "train")
    command = ["data", "splice", str(tmp_path / "train"), "--copies", "5"]
    command += ["--words", str(times(tmp_path / "words.ctm", whole))]
    assert main(command) == 0
    out = tmp_path / "train_spliced"
    found = {u.id: u for u in read_manifest(out)}
    spliced = found.keys() - whole.keys()
    assert f"{out}: {len(found)} utterances, {len(spliced)} of them spliced, 0.01 h" in capsys.readouterr().out
    assert spliced <= {f"{key}+{n}" for key in whole for n in range(1, 6)} and whole.keys() <= found.keys()
    assert len({u.text for u in found.values()}) == len(found) > 25  # none is there twice
    cuts = set()
    for key, u in found.items():
        first = whole[key.partition("+")[0]]
        assert u.speaker == first.speaker
        if u.id == first.id:
            assert (u.audio.resolve(), u.video.resolve(), u.text) == (first.audio, first.video, first.text)
            continue
        assert u.frames == FRAMES and u.text.split()[0] == first.text.split()[0] and u.text != first.text
        origin = [(int(word[0]), int(word[2])) for word in u.text.split()]
        assert [place for _, place in origin] == [0, 1, 2, 3]  # the same places as before
        assert {f"s{n % 2}" for n, _ in origin} == {u.speaker}
        level = np.repeat([20 * n + 20 + 5 * place for n, place in origin], PER_WORD)
        assert np.abs(read_crops(u.video).mean((1, 2)) - level).max() < 2
        audio, expected = read_audio(u.audio, RATE), np.repeat(level / 200, SAMPLES)
        changes = [w for w, (one, other) in enumerate(itertools.pairwise(origin), 1) if one[0] != other[0]]
        cuts.add(tuple(changes))
        near = np.zeros(len(audio), bool)
        for change in changes:
            cut = change * PER_WORD * SAMPLES
            near[cut - FADE : cut + FADE] = True
            assert abs(audio[cut - 1]) < 0.01 and abs(audio[cut]) < 0.01
        assert np.abs(audio - expected)[~near].max() < 1e-4
    assert {len(some) for some in cuts} == {1, 2} and len(cuts) > 3


def test_an_interrupted_call_resumes_and_a_finished_one_is_kept(tmp_path, capsys, monkeypatch):
    whole = numbered(tmp_path / "train")
    command = ["data", "splice", str(tmp_path / "train"), "--words", str(times(tmp_path / "words.ctm", whole))]
    written = []

    def interrupted(path, *values):
        if len(written) == 3:
            raise KeyboardInterrupt
        written.append(path.name)
        write_crops(path, *values)

    with monkeypatch.context() as patched:
        patched.setattr("v2skit.recipes.spliced.write_crops", interrupted)
        assert main(command) == 130
    assert not (tmp_path / "train_spliced").exists()
    written.clear()
    monkeypatch.setattr("v2skit.recipes.spliced.write_crops", lambda *a: written.append(a) or write_crops(*a))
    assert main(command) == 0
    once = {u.id: u.text for u in read_manifest(tmp_path / "train_spliced")}
    assert len(written) == len(once) - len(whole) - 3 > 3
    assert main(command) == 0 and len(written) == len(once) - len(whole) - 3
    assert main([*command, "--out", str(tmp_path / "again")]) == 0
    assert {u.id: u.text for u in read_manifest(tmp_path / "again")} == once
    capsys.readouterr()
    times(tmp_path / "words.ctm", whole, late=0.04)
    assert main(command) == 1
    made = f"made from other word times, or by another version, with v2skit data splice --copies 2 --words {tmp_path}/"
    assert made in capsys.readouterr().err
    assert main([*command, "--copies", "3"]) == 1
    assert f"exists, and is made by v2skit data splice --copies 2 --words {tmp_path}/" in capsys.readouterr().err
    assert main([*command, "--replace"]) == 0
    assert {u.id: u.text for u in read_manifest(tmp_path / "train_spliced")} == once


def test_forced_alignment_where_no_times_are_given(tmp_path):
    pytest.importorskip("pocketsphinx", reason="pocketsphinx is not installed")
    pytest.importorskip("espeakng_loader", reason="espeakng-loader is not installed")
    from v2skit.corpora.mini.speech import SAMPLE_RATE, VOICES, speak

    utterances = []
    texts = ["PLACE RED AT F TWO NOW", "BIN BLUE WITH G NINE PLEASE", "SET WHITE BY K FOUR SOON"]
    for utterance, text in zip(numbered(tmp_path / "train", 3, speakers=1).values(), texts, strict=True):
        speech = resample(speak(text, VOICES[0], 130).waveform, SAMPLE_RATE, RATE)
        frames = -(-len(speech) // SAMPLES)
        noise = 1e-4 * np.random.default_rng(0).standard_normal(frames * SAMPLES)
        write_audio(utterance.audio, (np.pad(speech, (0, len(noise) - len(speech))) + noise).astype(np.float32), RATE)
        write_crops(utterance.video, np.zeros((frames, 96, 96), np.uint8), 25)
        utterances.append(replace(utterance, text=text, frames=frames))
    write_manifest(tmp_path / "train", utterances, read_settings(tmp_path / "train"))
    assert main(["data", "splice", str(tmp_path / "train"), "--copies", "3"]) == 0
    spliced = [u for u in read_manifest(tmp_path / "train_spliced") if "+" in u.id]
    assert len(spliced) >= 6
    aligner = ForcedAligner()
    for u in spliced:
        audio = read_audio(u.audio, RATE)
        assert u.frames * SAMPLES == len(audio) and len(read_crops(u.video)) == u.frames
        words = aligner.words(audio, RATE, u.text)  # they are said in this order
        assert words[-1].end > 0.8 * len(audio) / RATE


def test_utterances_without_usable_times_are_kept_but_not_spliced(tmp_path, capsys):
    whole = numbered(tmp_path / "train", 8)
    file = times(tmp_path / "words.ctm", [key for key in whole if key != "u0"])
    content = file.read_text().replace("u1 1 0.60 0.2 1w3", "u1 1 0.60 0.2 other").replace("u2 1 0.60", "u2 1 1.60")
    content = content.replace("u3 1 0.20 0.2", "u3 1 0.00 0.01").replace("u3 1 0.00 0.2", "u3 1 0.00 0.01")
    file.write_text(content)
    assert main(["data", "splice", str(tmp_path / "train"), "--copies", "1", "--words", str(file)]) == 0
    text = capsys.readouterr().out
    assert (
        f"4 utterances are not spliced, as their word times are not known, e.g. u0: {file} has no words of it" in text
    )
    found = read_manifest(tmp_path / "train_spliced")
    assert {u.id for u in found} == {*whole, "u4+1", "u5+1", "u6+1", "u7+1"}
    assert not {word for u in found if "+" in u.id for word in u.text.split() if word[0] in "0123"}


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("u0 1 0.2 word", "words.ctm:1 is no line of a ctm file, 'recording channel start duration word'"),
        ("u0 1 a 0.2 word", "words.ctm:1 is no line of a ctm file"),
        ("u0 1 0.2 -0.1 word", "words.ctm:1: the word ends before it starts"),
        ("u0 1 nan 0.1 word", "words.ctm:1: the word ends before it starts, or its times are no seconds"),
        (
            "u0 1 0.2 0.1 word",
            "no speaker has two utterances that can be spliced; 6 have no usable word times, e.g. u0",
        ),
    ],
)
def test_times_that_can_not_be_used_are_named(tmp_path, capsys, line, message):
    numbered(tmp_path / "train")
    (tmp_path / "words.ctm").write_text(line + "\n")
    assert main(["data", "splice", str(tmp_path / "train"), "--words", str(tmp_path / "words.ctm")]) == 1
    assert message in capsys.readouterr().err
    assert not (tmp_path / "train_spliced").exists()


def test_data_that_can_not_be_spliced_is_refused_and_nothing_is_written(tmp_path, capsys):
    whole = numbered(tmp_path / "train", 4, speakers=4)
    command = ["data", "splice", str(tmp_path / "train"), "--words", str(times(tmp_path / "words.ctm", whole))]
    assert main(command) == 1
    assert capsys.readouterr().err.strip().endswith("no speaker has two utterances that can be spliced")
    assert main([*command, "--copies", "0"]) == 1
    assert "--copies 0 must be at least 1" in capsys.readouterr().err
    assert main([*command[:-1], str(tmp_path / "missing.ctm")]) == 1
    assert "missing.ctm can't be read as a ctm file" in capsys.readouterr().err
    assert not (tmp_path / "train_spliced").exists()
    numbered(tmp_path / "train")
    times(tmp_path / "words.ctm", [f"u{n}" for n in range(6)])
    assert main(command) == 0
    capsys.readouterr()
    (tmp_path / "train/video.scp").unlink()
    assert main([*command, "--out", str(tmp_path / "other")]) == 1
    assert "train has no video of 'u0'; give a data directory whose utterances all have" in capsys.readouterr().err


def test_nothing_is_derived_from_them_and_they_are_no_test_data(tmp_path, capsys):
    whole = numbered(tmp_path / "train")
    command = ["data", "splice", str(tmp_path / "train"), "--words", str(times(tmp_path / "words.ctm", whole))]
    assert main(command) == 0
    spliced = str(tmp_path / "train_spliced")
    for words in (["splice", spliced, *command[3:]], ["subset", spliced, "--share", "0.5"]):
        assert main(["data", *words]) == 1
        message = capsys.readouterr().err
        assert "train_spliced has spliced utterances, which have words of several others; " in message
        assert f"derive the data directory from {tmp_path}/train, and splice that one" in message
    with pytest.raises(UserError, match="has spliced utterances, and can't be test data; give .*train"):
        check_test_data(tmp_path / "train_spliced")
    check_test_data(tmp_path / "train")


def test_an_id_that_a_spliced_utterance_would_have_is_named(tmp_path, capsys):
    numbered(tmp_path / "train")
    utterances = [replace(u, id="u0+1") if u.id == "u2" else u for u in read_manifest(tmp_path / "train")]
    write_manifest(tmp_path / "train", utterances, read_settings(tmp_path / "train"))
    file = times(tmp_path / "words.ctm", ["u0", "u1", "u3", "u4", "u5"])
    assert main(["data", "splice", str(tmp_path / "train"), "--words", str(file)]) == 1
    assert "'u0+1' is the id of a spliced utterance; rename it" in capsys.readouterr().err


@pytest.mark.parametrize("kind", ["audio", "video"])
def test_files_of_another_length_than_the_tables_say_are_named(tmp_path, capsys, kind):
    whole = numbered(tmp_path / "train")
    write_audio(whole["u0"].audio, np.zeros(SAMPLES * 8, np.float32), RATE)
    if kind == "video":
        numbered(tmp_path / "train")
        for u in whole.values():
            write_crops(u.video, np.zeros((8, 96, 96), np.uint8), 25)
    command = ["data", "splice", str(tmp_path / "train"), "--words", str(times(tmp_path / "words.ctm", whole))]
    assert main(command) == 1
    error = capsys.readouterr().err
    assert f"train/{kind}/" in error and "is not as long as its data directory says; run stage 1 with --force" in error


def test_d_vectors_are_of_clips_that_an_utterance_has_no_words_of(tmp_path, monkeypatch):
    whole = numbered(tmp_path / "train", 8)
    command = ["data", "splice", str(tmp_path / "train"), "--words", str(times(tmp_path / "words.ctm", whole))]
    assert main(command) == 0
    out = tmp_path / "train_spliced"
    numbers = {key: n for n, key in enumerate(whole)}  # each clip's vector has a place of its own

    def embed(utterances, rate):
        for u in utterances:
            yield u.id, np.eye(256)[numbers[u.id]]

    monkeypatch.setattr(d_vector, "_embed", embed)
    speaker = d_vector.DVector()
    speaker.prepare(out)
    read = speaker.reader(out)
    for u in read_manifest(out):
        own = {numbers[f"u{word[0]}"] for word in u.text.split()}
        assert set(np.flatnonzero(read(u.id, u.speaker))) == {n for n in range(8) if f"s{n % 2}" == u.speaker} - own
        drawn = [read.draw(u.id, u.speaker, np.random.default_rng(seed)) for seed in range(20)]
        assert not own & {int(n) for vector in drawn for n in np.flatnonzero(vector)}


def test_training_reads_them(recipe_folder, tiny):
    data = recipe_folder / "data"
    text = "BIN BLUE AT F TWO NOW".split()
    lines = [f"{u.id} 1 {n / 20} 0.05 {w}\n" for u in read_manifest(data / "train") for n, w in enumerate(text)]
    (data / "words.ctm").write_text("".join(lines))
    assert main(["data", "splice", str(data / "train"), "--words", str(data / "words.ctm")]) == 0
    sets = ("scratch=false", "data.train=train_spliced")
    assert stages(recipe_folder, tiny, "pretrain", "transfer", "finetune", sets=sets) == 0
    check_source(data / "train_spliced")
    (data / "words.ctm").unlink()
    check_source(data / "train_spliced")  # its files do not depend on it any more
