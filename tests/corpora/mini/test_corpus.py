"""The generated corpus: its sentences and the movements of the mouth."""

import os
import time

import av
import numpy as np
import pytest
import soundfile
from scipy.signal import resample_poly

from v2skit.corpora.grid_grammar import WORDS, jsgf, sample_codes, sentence_from_code
from v2skit.corpora.mini import corpus as mini
from v2skit.corpora.mini.corpus import QUANTISER, Mini
from v2skit.corpora.mini.mouth import draw, random_face
from v2skit.corpora.mini.speech import SAMPLE_RATE, VOICES, speak
from v2skit.corpora.mini.visemes import PARAMETERS, articulate, gesture_starts, visemes
from v2skit.errors import UserError
from v2skit.media.crops import write_crops
from v2skit.system.atomic import exclusive_lock
from v2skit.system.locks import host

SENTENCES = ("PLACE BLUE BY P FIVE NOW", "BIN RED WITH B NINE PLEASE", "SET WHITE AT M FIVE NOW")
SIZES = {"utterances": 6, "audio_utterances": 6, "voices": 3, "seed": 5}


@pytest.fixture(scope="module")
def corpus(tmp_path_factory):
    corpus = Mini(tmp_path_factory.mktemp("mini"), **SIZES, jobs=1)
    corpus.obtain()
    return corpus


def files(corpus):
    return {p.relative_to(corpus.folder): p.read_bytes() for p in corpus.folder.rglob("*") if p.is_file()}


def pictures(path, format="gray"):
    with av.open(str(path)) as container:
        assert container.streams.video[0].average_rate == 25
        return np.stack([frame.to_ndarray(format=format) for frame in container.decode(video=0)])


def still(pixels=96, **shape):
    tracks = {name: np.full(3, shape.get(name, 0.0)) for name in PARAMETERS}
    face = random_face(np.random.default_rng(1), np.random.default_rng(2), pixels)
    return draw(tracks, 25, face, np.random.default_rng(3)).astype(float)


def test_same_settings_give_the_same_bytes_whatever_the_number_of_processes(corpus, tmp_path):
    again = Mini(tmp_path, **SIZES, jobs=2)
    again.obtain()
    assert files(again) == files(corpus)


def test_another_seed_gives_another_corpus(corpus, tmp_path):
    other = Mini(tmp_path, **{**SIZES, "seed": 6}, jobs=1)
    other.obtain()
    texts = [{utterance.text for utterance in sum(c.splits().values(), [])} for c in (corpus, other)]
    assert not texts[0] & texts[1]


def test_obtain_keeps_a_corpus_with_the_same_settings_and_replaces_any_other(tmp_path, monkeypatch):
    first = Mini(tmp_path, utterances=3, audio_utterances=1, jobs=1)
    first.obtain()
    monkeypatch.setattr(mini, "make_utterance", None)
    assert "1 test" in first.obtain()
    monkeypatch.undo()
    second = Mini(tmp_path, utterances=3, audio_utterances=2, jobs=1)
    with pytest.raises(UserError, match="stage 0"):
        second.splits()
    second.obtain()
    assert len(second.splits()["audio"]) == 2
    assert len(list((second.folder / "audio").iterdir())) == 2


def test_a_folder_that_is_a_link_to_another_disk(tmp_path):
    (tmp_path / "disk/corpus").mkdir(parents=True)
    (tmp_path / "corpus").symlink_to(tmp_path / "disk/corpus")
    for count in (1, 2):
        corpus = Mini(tmp_path, utterances=3, audio_utterances=count, jobs=1)
        corpus.obtain()
        assert len(corpus.splits()["audio"]) == count and (tmp_path / "corpus").is_symlink()
    assert [path.name for path in (tmp_path / "disk").iterdir() if path.is_dir()] == ["corpus"]


def test_who_is_at_work_in_its_folder_is_named(tmp_path):
    folder = tmp_path / "corpus"
    with exclusive_lock(folder / "train"):
        by = f"process {os.getpid()} on {host()} is at work there, or was killed: wait until it is done; move it away"
        with pytest.raises(UserError, match=f"^{folder}/.train.lock is not of the mini corpus, .* {folder}; {by}"):
            Mini(tmp_path).obtain()
    with pytest.raises(
        UserError, match=f"{folder}; move it away, or generate the corpus elsewhere with v2skit stage obt"
    ):
        Mini(tmp_path).obtain()


def test_an_interruption_leaves_no_corpus(tmp_path, monkeypatch):
    def interrupted(*_):
        raise KeyboardInterrupt

    corpus = Mini(tmp_path, utterances=3, audio_utterances=1, jobs=1)
    monkeypatch.setattr(mini, "write_crops", interrupted)
    with pytest.raises(KeyboardInterrupt):
        corpus.obtain()
    assert not corpus.folder.exists()
    monkeypatch.undo()
    corpus.obtain()
    assert len(corpus.splits()["train"]) == 1


def test_splits_share_no_sentence_and_hold_what_they_say(corpus):
    splits = corpus.splits()
    assert {name: len(utterances) for name, utterances in splits.items()} == {
        "audio": 6,
        "train": 4,
        "valid": 1,
        "test": 1,
    }
    utterances = sum(splits.values(), [])
    assert len({utterance.text for utterance in utterances}) == len(utterances)
    for utterance in utterances:
        speaker, code = utterance.id.split("-")
        assert (utterance.speaker, utterance.text) == (speaker, sentence_from_code(code))
        assert (utterance.video is None) == (utterance in splits["audio"])


def test_audio_and_video_have_the_same_length(corpus):
    for utterance in corpus.splits()["train"]:
        waveform, rate = soundfile.read(utterance.audio)
        video = pictures(utterance.video)
        assert rate == SAMPLE_RATE
        assert waveform.shape == (len(video) * 960,)
        assert video.shape[1:] == (48, 48)
        assert 1.5 < len(waveform) / rate < 3.5


def test_the_level_is_the_same_for_all_and_nothing_clips(corpus):
    for utterance in sum(corpus.splits().values(), []):
        waveform, _ = soundfile.read(utterance.audio)
        assert np.abs(waveform).max() < 0.99
        assert 0.05 < np.sqrt(np.mean(waveform**2)) < 0.08


def test_the_video_is_nearly_lossless_and_full_range(tmp_path):
    drawn = still(opening=1.0, teeth=0.8).astype(np.uint8)
    write_crops(tmp_path / "a.mp4", drawn, 25, QUANTISER)
    assert np.abs(pictures(tmp_path / "a.mp4") - drawn.astype(float)).mean() < 2.0
    assert np.abs(pictures(tmp_path / "a.mp4", "rgb24")[..., 0] - drawn.astype(float)).mean() < 2.0


@pytest.mark.parametrize("group", ["pbm", "fv", "tdnsz", "kɡŋ", "θð"])
def test_phonemes_of_one_viseme_move_the_same_way(group):
    def tracks(sound):
        moved = articulate([(0.2, "ɛ"), (0.35, sound), (0.45, "iː"), (0.6, "")], 25, 25, np.random.default_rng(0))
        return np.stack([moved[name] for name in PARAMETERS])

    timed_alike = [sound for sound in group if sound in "pbtdkɡ"] or list(group)
    for sound in timed_alike[1:]:
        assert np.array_equal(tracks(sound), tracks(timed_alike[0]))
    assert len({tuple(visemes(sound)) for sound in group}) == 1
    assert not np.array_equal(tracks(group[0]), tracks("w"))


def test_lips_close_for_bilabials_and_open_for_open_vowels():
    closed, opened = [], []
    for seed, sentence in enumerate(SENTENCES):
        speech = speak(sentence, VOICES[seed], 145)
        frames = int(speech.waveform.size / 960) + 5
        opening = articulate(speech.phonemes, frames, 25, np.random.default_rng(seed))["opening"]
        for start, (_, phoneme) in zip(gesture_starts(speech.phonemes), speech.phonemes, strict=True):
            around = opening[int(start * 25) : int(start * 25) + 4]
            if phoneme in ("p", "b", "m"):
                closed.append(around.min())
            if phoneme in ("ˈaɪ", "ˈaʊ"):
                opened.append(around.max())
    assert len(closed) >= 6 and max(closed) < 0.05
    assert len(opened) >= 4 and min(opened) > 0.25


def test_mouth_opens_with_the_sound_and_not_at_another_time(corpus):
    index = {row["id"]: row for row in corpus._index()}
    lags = {lag: [] for lag in (-5, 0, 5)}
    for utterance in corpus.splits()["train"]:
        energy = np.log10(1e-4 + np.square(soundfile.read(utterance.audio)[0].reshape(-1, 960)).mean(axis=1))
        phonemes = [tuple(p) for p in index[utterance.id]["phonemes"]]
        opening = articulate(phonemes, len(energy), 25, np.random.default_rng(0))["opening"]
        for lag, found in lags.items():
            found.append(np.corrcoef(np.roll(opening, lag)[5:-5], energy[5:-5])[0, 1])
    assert np.mean(lags[0]) > 0.3
    assert np.mean(lags[0]) > max(np.mean(lags[-5]), np.mean(lags[5])) + 0.2


def test_the_drawing_shows_every_parameter():
    rest = still(opening=0.5)
    shows = {name: {name: 1.0} for name in PARAMETERS if name != "opening"}
    for name, shape in shows.items():
        assert np.abs(still(opening=0.5, **shape) - rest)[:, 25:85].max() > 25, name
    assert np.abs(still(opening=0.0) - rest).max() > 25


def test_a_small_frame_is_the_large_one_with_fewer_pixels():
    for shape in ({"opening": 0.0}, {"opening": 0.8, "teeth": 1.0}, {"opening": 0.5, "rounding": 1.0}):
        large, small = still(96, **shape), still(48, **shape)
        means = large.reshape(3, 48, 2, 48, 2).mean((2, 4))
        assert small.shape == (3, 48, 48)
        assert np.abs(small - means).mean() < 3, shape
        assert np.corrcoef(small.ravel(), means.ravel())[0, 1] > 0.98, shape


def test_a_face_changes_from_take_to_take_but_stays_the_speakers():
    def faces(speaker):
        return [random_face(np.random.default_rng(speaker), np.random.default_rng(take)) for take in range(40)]

    first, second = faces(1), faces(2)
    assert len({face.centre for face in first}) == 40
    assert all(22.5 <= face.half_width <= 30.0 for face in first + second)
    ratio = np.mean([face.lower_lip for face in first]) / np.mean([face.lower_lip for face in second])
    assert abs(ratio - 1.0) > 0.05


def test_voices_are_different():
    spoken = [speak("BIN BLUE AT F TWO NOW", voice, 130).waveform for voice in VOICES]
    for i, one in enumerate(spoken):
        assert all(not np.array_equal(one, other) for other in spoken[:i])


def test_speech_depends_on_neither_the_time_nor_what_was_said_before():
    first = [speak("BIN BLUE AT F TWO NOW", voice, 130) for voice in VOICES]
    time.sleep(1.1)  # espeak-ng looks at whole seconds
    for voice, before in reversed(list(zip(VOICES, first, strict=True))):
        again = speak("BIN BLUE AT F TWO NOW", voice, 130)
        assert np.array_equal(before.waveform, again.waveform), voice
        assert before.phonemes == again.phonemes


def test_the_letter_a_is_not_the_article():
    phonemes = [phoneme for _, phoneme in speak("BIN BLUE BY A TWO NOW", VOICES[0], 130).phonemes]
    assert "".join(phonemes).replace("ˈ", "").startswith("bɪnbluːbaɪeɪ")


def test_an_unknown_voice_is_an_error():
    with pytest.raises(UserError, match="no voice 'en-us.nobody'"):
        speak("BIN BLUE", "en-us.nobody", 130)


def test_every_grid_phoneme_has_a_viseme():
    for voice in VOICES:
        for slot in WORDS:
            for _, phoneme in speak(" ".join(slot.values()), voice, 300).phonemes:
                assert visemes(phoneme)


def test_pocketsphinx_knows_the_grammar_and_understands_the_corpus(corpus, tmp_path):
    pocketsphinx = pytest.importorskip("pocketsphinx")
    (tmp_path / "grid.jsgf").write_text(jsgf())
    decoder = pocketsphinx.Decoder(samprate=16000, jsgf=str(tmp_path / "grid.jsgf"), lm=None, loglevel="FATAL")
    assert [word for slot in WORDS for word in slot.values() if decoder.lookup_word(word.lower()) is None] == []
    right = total = 0
    for utterance in sum(corpus.splits().values(), []):
        waveform, _ = soundfile.read(utterance.audio)
        decoder.start_utt()
        samples = np.clip(resample_poly(waveform, 2, 3), -1.0, 1.0) * 32767
        decoder.process_raw(samples.astype(np.int16).tobytes(), full_utt=True)
        decoder.end_utt()
        recognised = decoder.hyp().hypstr.upper().split()
        right += sum(a == b for a, b in zip(recognised, utterance.text.split(), strict=True))
        total += 6
    assert right / total > 0.8


def test_sentences_of_codes():
    assert sentence_from_code("bbaf2n") == "BIN BLUE AT F TWO NOW"
    assert sentence_from_code("swwzzs") == "SET WHITE WITH Z ZERO SOON"
    codes = sample_codes(500, np.random.default_rng(0))
    assert len({sentence_from_code(code) for code in codes}) == 500


@pytest.mark.parametrize(
    "code, message", [("bbaf2", "6 characters"), ("bbaw2n", "'w' is no letter"), ("xbaf2n", "'x' is no command")]
)
def test_a_wrong_code_is_an_error(code, message):
    with pytest.raises(UserError, match=message):
        sentence_from_code(code)


@pytest.mark.parametrize(
    "settings, message",
    [
        ({"utterances": 2}, "can't fill train, valid and test"),
        ({"audio_utterances": 0}, "audio_utterances"),
        ({"voices": 0}, "1 to 8"),
        ({"voices": 9}, "1 to 8"),
        ({"seed": -1}, "seed"),
        ({"jobs": -1}, "jobs"),
    ],
)
def test_bad_settings_are_errors(tmp_path, settings, message):
    with pytest.raises(UserError, match=message):
        Mini(tmp_path, **settings)


def test_more_sentences_than_the_grammar_has_is_an_error_before_anything_is_made(tmp_path):
    with pytest.raises(UserError, match="64000"):
        Mini(tmp_path, audio_utterances=64000, jobs=1).obtain()
    assert list(tmp_path.iterdir()) == []


def test_splits_before_obtain_and_a_damaged_index_are_errors(tmp_path):
    corpus = Mini(tmp_path)
    with pytest.raises(UserError, match="stage 0 generates it"):
        corpus.splits()
    corpus.folder.mkdir()
    (corpus.folder / "corpus.json").write_text("{")
    with pytest.raises(UserError, match="damaged"):
        corpus.obtain()
