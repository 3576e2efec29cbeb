"""A user's videos: speakers, splits, texts, and errors where there are too few."""

import pytest

from tests.miniatures import check_utterances, clip, prepared, recipe, register, run_recipe, touch
from v2skit.corpora.audiovisual.custom import SUFFIXES, Custom
from v2skit.errors import UserError
from v2skit.synthesis.paths import VIDEO_SUFFIXES

PEOPLE = ("anna", "ben", "zoë", "dan", "eve")


def make(folder, people=PEOPLE, count=8, make_clip=touch):
    for person in people:
        for number in range(count):
            text = f"Grüß Gott, „Nr. {number}“!" if number % 2 else None
            make_clip(folder / person / f"{person}_take {number}.mp4", text)
    return str(folder)


def sizes(splits):
    return [len(found) for found in splits.values()]


def test_by_video(tmp_path):
    corpus = Custom(tmp_path, make(tmp_path / "videos"))
    splits = corpus.splits()
    assert list(splits) == ["train", "valid", "test"] and sizes(splits) == [36, 2, 2]
    utterances = check_utterances(splits)
    assert {s.speaker for s in utterances} == set(PEOPLE)
    assert {s.text for s in utterances} == {None, *(f"GRÜSS GOTT NR {n}" for n in (1, 3, 5, 7))}
    assert splits == Custom(tmp_path, "videos").splits()
    assert "40 of 5 speakers, 20 with a text; train 36, valid 2, test 2" in corpus.obtain()


def test_all_videos_for_testing(tmp_path):
    folder = make(tmp_path / "videos", people=["anna"], count=2)
    assert {name: len(found) for name, found in Custom(tmp_path, folder, split="test").splits().items()} == {"test": 2}


def test_by_speaker(tmp_path):
    splits = Custom(tmp_path, make(tmp_path / "videos"), split="unseen").splits()
    parts = [{s.speaker for s in found} for found in splits.values()]
    assert [len(part) for part in parts] == [3, 1, 1] and set.union(*parts) == set(PEOPLE)
    assert sizes(splits) == [24, 8, 8]


def test_speakers(tmp_path):
    make(tmp_path / "videos")
    for path in (tmp_path / "videos").glob("*/*"):
        path.rename(tmp_path / "videos" / path.name)
    by_name = check_utterances(Custom(tmp_path, "videos", "prefix").splits())
    assert {s.speaker for s in by_name} == set(PEOPLE) and "anna-anna_take_0" in {s.id for s in by_name}
    assert {s.speaker for s in check_utterances(Custom(tmp_path, "videos").splits())} == {"videos"}
    assert {s.speaker for s in check_utterances(Custom(tmp_path, "videos", "none").splits())} == {"speaker"}


def test_names_that_come_twice(tmp_path):
    for place in ("a/anna", "b/anna", "anna"):
        touch(tmp_path / place / "1.mp4")
    touch(tmp_path / "anna/1.MKV")
    utterances = check_utterances(Custom(tmp_path, str(tmp_path)).splits())
    assert len(utterances) == 4 and {s.speaker for s in utterances} == {"anna"}


def test_audio_file_of_a_video(tmp_path):
    make(tmp_path, PEOPLE[:1], 3)
    (tmp_path / "anna/anna_take 0.wav").touch()
    for place in ("anna/.hidden.mp4", ".Trash-1000/files/anna.mp4", "anna/.cache/1.mp4", "$RECYCLE.BIN/1.mp4"):
        touch(tmp_path / place)
    utterances = {s.id: s for s in check_utterances(Custom(tmp_path, str(tmp_path)).splits())}
    assert len(utterances) == 3 and utterances["anna-anna_take_0"].audio.suffix == ".wav"
    assert utterances["anna-anna_take_1"].audio == utterances["anna-anna_take_1"].video


def test_files_of_a_video_in_upper_case(tmp_path):
    make(tmp_path, PEOPLE[:1], 3)
    for name in ("CLIP.MP4", "CLIP.WAV", "CLIP.TXT"):
        (tmp_path / name).write_text("so it is")
    found = {s.video.name: s for part in Custom(tmp_path, str(tmp_path)).splits().values() for s in part}
    assert found["CLIP.MP4"].audio.name == "CLIP.WAV" and found["CLIP.MP4"].text == "SO IT IS"


def test_held_out_videos_are_a_hashs_choice(tmp_path):
    make(tmp_path / "videos", count=40)
    before = Custom(tmp_path, "videos").splits()
    touch(tmp_path / "videos/anna/one more.mp4")
    after = Custom(tmp_path, "videos").splits()
    kept = {s.id for s in before["test"]} & {s.id for s in after["test"]}
    assert len(kept) >= len(before["test"]) - 1
    assert sizes(Custom(tmp_path, "videos", valid_share=0.1, test_share=0.2).splits()) == [141, 20, 40]


def test_few_videos_are_met_with_sense(tmp_path):
    make(tmp_path / "videos", PEOPLE[:1], 2)
    with pytest.raises(UserError, match="has 2 videos; training, validation and testing need one each"):
        Custom(tmp_path, "videos").obtain()
    touch(tmp_path / "videos/anna/more.mp4")
    assert sizes(Custom(tmp_path, "videos").splits()) == [1, 1, 1]
    assert sizes(Custom(tmp_path, "videos", valid_share=0.5, test_share=0.4).splits()) == [1, 1, 1]
    with pytest.raises(UserError, match=r"1 speakers \(anna\), split 'unseen' needs 3 or more; --set corpus.split"):
        Custom(tmp_path, "videos", split="unseen").obtain()
    (tmp_path / "empty").mkdir()
    faults = (("", "no videos given"), ("nowhere", "is not a folder"), ("empty", r"has no videos \(.mp4"))
    for folder, message in faults:
        with pytest.raises(UserError, match=f"{message}.*--corpus_dir"):
            Custom(tmp_path, folder).obtain()


def test_mistakes(tmp_path):
    for arguments, message in (
        ({"speaker": "file"}, "none of folder, prefix, none"),
        ({"split": "random"}, "none of 'seen', 'unseen' and 'test'"),
        ({"split": "unseen", "speaker": "none"}, "needs speakers"),
        ({"valid_share": 0.0}, "must be positive"),
        ({"valid_share": 0.5, "test_share": 0.5}, "their sum below 1"),
    ):
        with pytest.raises(UserError, match=message):
            Custom(tmp_path, "videos", **arguments)
    make(tmp_path / "videos")
    (tmp_path / "videos/anna/anna_take 1.txt").write_bytes("Grüße".encode("latin-1"))
    with pytest.raises(UserError, match="is not in UTF-8"):
        Custom(tmp_path, "videos").obtain()


def test_a_video_that_can_be_spoken_can_be_trained_on():
    assert set(SUFFIXES) | {".gif"} == set(VIDEO_SUFFIXES), "a .gif has no sound to learn from"


def test_every_stage(tmp_path):
    register("custom", "v2skit.corpora.audiovisual.custom:Custom")
    make(tmp_path / "videos", PEOPLE[:2], 4, clip)
    run_recipe(recipe("custom"), tmp_path, {"corpus_dir": str(tmp_path / "videos")}, "table")
    assert len(prepared(tmp_path, "train")) == 6
