"""TCD-TIMIT's layout and splits."""

import pytest

from tests.miniatures import check_absent, check_utterances, clip, prepared, recipe, register, run_recipe, touch
from v2skit.corpora.audiovisual.tcd_timit import LIPSPEAKERS, UNSEEN, TcdTimit
from v2skit.errors import UserError

SENTENCES = [f"{kind}{number}" for kind in ("si", "sx") for number in range(400, 440)]
LABELS = "0 7470 she\n7470 11362 had\n11362 16000 your\n"


PUBLISHED = "{group}/{speaker}/Clips/straightcam"


def make(folder, speakers=LIPSPEAKERS, group="lipspeakers", names=SENTENCES, pattern=PUBLISHED):
    for speaker in speakers:
        for name in names:
            path = touch(folder / pattern.format(group=group, speaker=speaker) / f"{name}.mp4")
            path.with_name(f"{name.upper()}.txt").write_text(LABELS)
    return str(folder)


def test_the_splits_are_whole():
    assert [len(UNSEEN[part]) for part in ("train", "valid", "test")] == [35, 4, 17]
    everyone = sum(UNSEEN.values(), [])
    numbers = {f"{number:02d}" for number in range(1, 60)} - {"27", "35", "53"}
    assert len(set(everyone)) == 56 and {name[:2] for name in everyone} == numbers
    assert sum(TcdTimit.info.counts.values()) == 6913


def test_lipspeakers_are_seen_and_sentences_are_not(tmp_path):
    splits = TcdTimit(tmp_path, make(tmp_path / "tcd")).splits()
    assert list(splits) == ["lipspeakers/train", "lipspeakers/valid", "lipspeakers/test"]
    check_utterances(splits)
    parts = {name: {s.id.split("-")[1] for s in found} for name, found in splits.items()}
    assert sum(map(len, parts.values())) == len(SENTENCES), "no sentence is in two parts"
    assert all({s.speaker for s in found} == set(LIPSPEAKERS) for found in splits.values())
    single = TcdTimit(tmp_path, str(tmp_path / "tcd"), "lipspeaker1").splits()["lipspeaker1/test"]
    assert single == [s for s in splits["lipspeakers/test"] if s.speaker == "Lipspkr1"] != []


def test_volunteers_are_unseen(tmp_path):
    folder = make(tmp_path, sum(UNSEEN.values(), []), "volunteers", SENTENCES[:2])
    splits = TcdTimit(tmp_path, folder, "volunteers").splits()
    assert [len({s.speaker for s in found}) for found in splits.values()] == [35, 4, 17]
    assert len(check_utterances(splits)) == 112
    (tmp_path / "volunteers/55F").rename(tmp_path / "volunteers/55X")
    with pytest.raises(UserError, match="no clips of 55F .*volunteers/55F/Clips/straightcam.*sigmedia.tcd.ie"):
        TcdTimit(tmp_path, folder, "volunteers").obtain()


@pytest.mark.parametrize("pattern", ["{group}/{speaker}/straightcam", "TCDTIMIT/{group}/{speaker}/Clips/straightcam"])
def test_other_places(tmp_path, pattern):
    corpus = TcdTimit(tmp_path, make(tmp_path / "tcd", pattern=pattern))
    assert len(check_utterances(corpus.splits())) == 3 * len(SENTENCES)


def test_text_and_audio(tmp_path):
    folder = tmp_path / "lipspeakers/Lipspkr1/Clips/straightcam"
    make(tmp_path, LIPSPEAKERS[:1], names=["si400", "si401", "si402"])
    (folder / "si400.wav").touch()
    (folder / "SI401.txt").write_text("0 46797 Don't ask me, now.\n")
    (folder / "SI402.txt").unlink()
    found = {s.id: s for part in TcdTimit(tmp_path, str(tmp_path), "lipspeaker1").splits().values() for s in part}
    first, second, third = (found[f"Lipspkr1-si{n}"] for n in (400, 401, 402))
    assert first.text == "SHE HAD YOUR" and first.audio == folder / "si400.wav" and first.video == folder / "si400.mp4"
    assert second.text == "DON'T ASK ME NOW" and second.audio == second.video
    assert third.text is None
    assert "untranscribed: 1" in TcdTimit(tmp_path, str(tmp_path), "lipspeaker1").obtain()


def test_counts_and_mistakes(tmp_path):
    folder = make(tmp_path / "tcd")
    message = TcdTimit(tmp_path, folder).obtain()
    assert "240 clips of 3 speakers" in message and "lipspeakers 240 of 1131" in message
    make(tmp_path / "whole", names=[f"sx{n}" for n in range(377)])
    assert "published" not in TcdTimit(tmp_path, "whole").obtain()
    check_absent(TcdTimit, tmp_path)
    with pytest.raises(UserError, match="did you mean 'lipspeakers'"):
        TcdTimit(tmp_path, folder, "lipspeaker")
    with pytest.raises(UserError, match="camera 'left'"):
        TcdTimit(tmp_path, folder, camera="left")
    with pytest.raises(UserError, match="30degcam"):
        TcdTimit(tmp_path, folder, camera="30degcam").obtain()


def test_every_stage(tmp_path):
    register("tcd_timit", "v2skit.corpora.audiovisual.tcd_timit:TcdTimit")
    all_of_it = TcdTimit(tmp_path, make(tmp_path / "empty", LIPSPEAKERS[:1]), "lipspeaker1").splits()
    names = [s.video.stem for found, count in zip(all_of_it.values(), (4, 2, 1), strict=True) for s in found[:count]]
    for name in names:
        clip(tmp_path / f"tcd/lipspeakers/Lipspkr1/Clips/straightcam/{name}.mp4")
    run_recipe(recipe("tcd_timit"), tmp_path, {"corpus_dir": str(tmp_path / "tcd")})
    parts = [prepared(tmp_path, f"lipspeaker1/{part}") for part in ("train", "valid", "test")]
    assert [len(part) for part in parts] == [4, 2, 1]
