"""GRID's layouts and splits."""

import itertools

import pytest

from tests.media_files import real_data
from v2skit.corpora.audiovisual.grid import SEEN, TALKERS, UNSEEN33, Grid
from v2skit.corpora.grid_grammar import WORDS
from v2skit.errors import UserError

NAMES = ["".join(code) for code in itertools.product(*WORDS)][::64][:1000]


def make_grid(folder, talkers=(1,), pattern="s{n}/{name}.mpg", names=NAMES[:40]):
    for talker, name in itertools.product(talkers, names):
        path = folder / pattern.format(n=talker, name=name)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    return folder


def test_the_papers_splits_are_whole():
    assert len(TALKERS) == 33 and 21 not in TALKERS and set(TALKERS) <= set(range(1, 35))
    assert [len(UNSEEN33[part]) for part in ("train", "valid", "test")] == [16, 7, 10]
    assert sorted(sum(UNSEEN33.values(), ())) == list(TALKERS)
    assert SEEN["seen4"] == (1, 2, 4, 29) and SEEN["seen33"] == TALKERS


def test_seen_talkers_are_split_90_5_5_by_name(tmp_path):
    corpus = Grid(tmp_path, str(make_grid(tmp_path / "grid", SEEN["seen4"], names=NAMES)), "seen4")
    splits = corpus.splits()
    assert list(splits) == ["seen4/train", "seen4/valid", "seen4/test"]
    counts = [len(utterances) for utterances in splits.values()]
    assert sum(counts) == 4000 and abs(counts[0] - 3600) < 80 and all(abs(c - 200) < 50 for c in counts[1:])
    ids = [s.id for utterances in splits.values() for s in utterances]
    assert len(set(ids)) == 4000
    assert {s.speaker for s in splits["seen4/test"]} == {"s1", "s2", "s4", "s29"}
    assert splits == corpus.splits()


def test_a_talkers_split_does_not_depend_on_the_others(tmp_path):
    folder = str(make_grid(tmp_path / "grid", SEEN["seen4"], names=NAMES[:200]))
    single, four = Grid(tmp_path, folder, "s1").splits(), Grid(tmp_path, folder, "seen4").splits()
    assert single["s1/test"] == [s for s in four["seen4/test"] if s.speaker == "s1"] != []


def test_the_split_of_available_talkers_has_those_that_are_there_however_few_clips(tmp_path):
    folder = str(make_grid(tmp_path / "grid", (1, 31), names=NAMES[:200]))
    available, single = Grid(tmp_path, folder, "available").splits(), Grid(tmp_path, folder, "s1").splits()
    assert {s.speaker for clips in available.values() for s in clips} == {"s1", "s31"}
    for part in ("train", "valid", "test"):
        assert [s for s in available[f"available/{part}"] if s.speaker == "s1"] == single[f"s1/{part}"] != []
    some = Grid(tmp_path, folder, "available", talkers=[2, 31])
    assert {s.speaker for clips in some.splits().values() for s in clips} == {"s31"} and "1 talkers" in some.obtain()
    (tmp_path / "empty").mkdir()
    with pytest.raises(UserError, match="has no clips"):
        Grid(tmp_path, str(tmp_path / "empty"), "available").obtain()


def test_all_clips_of_chosen_talkers_are_for_testing(tmp_path):
    folder = str(make_grid(tmp_path / "grid", (1, 5, 31), names=NAMES[:3]))
    splits = Grid(tmp_path, folder, "test", talkers=[5, 20, 31]).splits()
    assert {name: len(found) for name, found in splits.items()} == {"test/train": 0, "test/valid": 0, "test/test": 6}
    assert {s.speaker for s in splits["test/test"]} == {"s5", "s31"}


@pytest.mark.parametrize("talkers", [[], [1, 21], [0], [35]])
def test_talkers_that_the_corpus_lacks_are_named(tmp_path, talkers):
    with pytest.raises(UserError, match="1 to 34, without 21"):
        Grid(tmp_path, split="available", talkers=talkers)
    with pytest.raises(UserError, match="leave talkers out, or set split to available"):
        Grid(tmp_path, split="seen4", talkers=talkers)


def test_unseen_talkers_are_apart(tmp_path):
    splits = Grid(tmp_path, str(make_grid(tmp_path / "grid", TALKERS, names=NAMES[:2])), "unseen33").splits()
    speakers = [{s.speaker for s in utterances} for utterances in splits.values()]
    assert [len(found) for found in speakers] == [16, 7, 10] and len(set.union(*speakers)) == 33


@pytest.mark.parametrize("pattern", ["s{n}/{name}.mpg", "s{n}/video/{name}.mpg", "video/s{n}/{name}.MPG"])
def test_published_layouts(tmp_path, pattern):
    corpus = Grid(tmp_path, str(make_grid(tmp_path / "grid", pattern=pattern)))
    utterances = [s for part in corpus.splits().values() for s in part]
    assert len(utterances) == 40 and "40 clips" in corpus.obtain()
    utterance = next(s for s in utterances if s.id == f"s1-{NAMES[0]}")
    assert utterance.text.split()[0] == "BIN" and utterance.audio == utterance.video and utterance.video.is_file()


def test_a_relative_folder_is_the_recipes(tmp_path):
    make_grid(tmp_path / "recipe/grid")
    assert "40 clips" in Grid(tmp_path / "recipe", "grid").obtain()


def test_missing_talkers_and_folders_say_what_to_do(tmp_path):
    make_grid(tmp_path / "grid", (1, 2))
    (tmp_path / "file").touch()
    faults = [("grid", "s4, s29"), ("nowhere", "not a folder"), ("", "no corpus"), ("file", "not a folder")]
    for folder, message in faults:
        with pytest.raises(UserError, match=f"{message}.*3625687.*--corpus_dir"):
            Grid(tmp_path, folder, "seen4").obtain()
    with pytest.raises(UserError, match="seen5"):
        Grid(tmp_path, "grid", "seen5")


def test_a_name_that_is_no_sentence_has_no_text(tmp_path):
    make_grid(tmp_path / "grid", names=["take1"])
    (utterance,) = [s for part in Grid(tmp_path, "grid").splits().values() for s in part]
    assert utterance.text is None and utterance.id == "s1-take1"


def test_stray_files_are_ignored(tmp_path):
    folder = make_grid(tmp_path / "grid", names=NAMES) / "s1"
    for name in ("Thumbs.db", "._bbaf2n.mpg", "notes.txt", "my first take.mpg"):
        (folder / name).touch()
    (folder / "more.mpg").mkdir()
    corpus = Grid(tmp_path, "grid")
    message, utterances = corpus.obtain(), [s for part in corpus.splits().values() for s in part]
    assert len(utterances) == 1001 and all(" " not in s.id for s in utterances)
    assert "1001 clips of 1 talkers; untranscribed, since the name is no sentence code: 1, e.g." in message


def test_real_grid_words_are_those_of_its_alignments():
    folder = real_data("grid")
    utterances = [s for part in Grid(folder.parent, "grid").splits().values() for s in part]
    assert len(utterances) == 799
    for utterance in utterances[::20]:
        lines = (folder / "align" / f"{utterance.video.stem}.align").read_text().split("\n")
        words = [line.split()[2] for line in lines if line.strip()]
        assert [w for w in words if w not in ("sil", "sp")] == utterance.text.lower().split()


def test_more_clips_than_the_corpus_has_are_an_error(tmp_path):
    make_grid(tmp_path, names=[*NAMES, "bbaa1a"])
    with pytest.raises(UserError, match="has 1001 clips of s1, GRID has 1000 a talker"):
        Grid(tmp_path, str(tmp_path)).obtain()
