"""Speaker similarity: always with other clips of the talker, by resemblyzer's d-vectors."""

import pickle
from pathlib import Path

import numpy as np
import pytest

from tests.evaluation.signals import RATE, babble
from v2skit.data.data_dir import Utterance
from v2skit.errors import UserError
from v2skit.evaluation.metrics import MetricError
from v2skit.evaluation.other_clips import other_clips
from v2skit.evaluation.score import score
from v2skit.media.audio import write_audio


def clips(*names):
    return [Utterance(f"{name}-{n}", name, 25, Path(f"{name}-{n}.flac")) for name in names for n in range(4)]


def test_the_other_clips_are_of_the_talker_and_never_the_clip_itself():
    utterances = clips("a", "b")
    found = other_clips(reversed(utterances), 2)
    assert [u.id for u in found["a-0"]] == ["a-1", "a-2"] and [u.id for u in found["b-3"]] == ["b-0", "b-1"]
    for utterance in utterances:
        assert {u.speaker for u in found[utterance.id]} == {utterance.speaker}
        assert utterance.id not in {u.id for u in found[utterance.id]}
    alone = Utterance("c-0", "c", 25, Path("c.flac"))
    mute = Utterance("c-1", "c", 25)
    assert other_clips([alone, mute], 5) == {"c-0": [], "c-1": [alone]}


@pytest.fixture
def metric():
    pytest.importorskip("resemblyzer", reason="resemblyzer is not installed; pip install --no-deps resemblyzer")
    from v2skit.evaluation.speaker_similarity import SpeakerSimilarity

    return SpeakerSimilarity(clips=2)


def test_it_is_the_cosine_that_resemblyzer_gives(metric):
    from resemblyzer import VoiceEncoder, preprocess_wav

    encoder = VoiceEncoder("cpu", verbose=False)
    hypothesis, *others = (babble(2.0, seed) for seed in range(3))
    voice, *theirs = (
        encoder.embed_utterance(preprocess_wav(s.astype(np.float32), RATE)) for s in (hypothesis, *others)
    )
    mean = np.mean(theirs, axis=0)
    expected = voice @ mean / np.linalg.norm(voice) / np.linalg.norm(mean)
    again = pickle.loads(pickle.dumps(metric))
    for one in (metric, again):
        assert one(others[0], hypothesis, RATE, others=others)["speaker_similarity"] == pytest.approx(
            expected, abs=1e-3
        )
    assert again.protocol == metric.protocol and "first 2 other clips" in metric.protocol


def test_a_silent_hypothesis_scores_0_and_a_talker_without_other_clips_is_a_failure(metric):
    sound = babble(2.0)
    assert metric(sound, 0 * sound, RATE, others=[babble(2.0, 1)]) == {"speaker_similarity": 0.0}
    for others in ([], [np.zeros(RATE)]):
        with pytest.raises(MetricError, match="no other clip with a voice"):
            metric(sound, sound, RATE, others=others)


def test_scoring_gives_it_the_other_clips(metric, tmp_path):
    utterances = []
    for number in range(3):
        audio = tmp_path / "audio" / f"{number}.flac"
        write_audio(audio, babble(2.0, number), RATE)
        utterances.append(Utterance(f"u{number}", "alone" if number == 2 else "s1", 50, audio))
    files = score(utterances, None, {"similarity": metric}, None, RATE).files
    expected = metric(babble(2.0), babble(2.0), RATE, others=[babble(2.0, 1)])["speaker_similarity"]
    assert files[0].values["speaker_similarity"] == pytest.approx(expected, abs=1e-3)
    assert files[2].failures == {"speaker_similarity": "the talker has no other clip with a voice in it"}
    assert all(file.aligned.values.get("speaker_similarity") == file.values.get("speaker_similarity") for file in files)


def test_the_number_of_clips_is_checked(metric):
    with pytest.raises(UserError, match="must lie in 1..1000"):
        type(metric)(clips=0)
