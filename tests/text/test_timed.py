"""Words with times: from the tokens of a path, and in the files of Praat and NIST."""

import pytest

from v2skit.registry.build import build
from v2skit.registry.component import Component
from v2skit.text.characters import Characters
from v2skit.text.timed import Span, Timed, ctm, read_ctm, textgrid, words_of

TEXTS = ["bin blue at f two now", "place red by z nine please"]
WORDS = (Timed("bin", 0.5, 0.9), Timed('say "blue"', 0.9, 1.4), Timed("now", 1.75, 3.0))


def tokenizer(name, **arguments):
    built = build("tokenizer", Component(name, arguments))
    built.fit(TEXTS)
    return built


def test_a_word_lasts_from_its_first_to_its_last_token():
    characters = Characters()
    characters.fit(TEXTS)
    ids = characters.encode("at two")
    spans = [Span(token, 10 * place, 10 * place + 4) for place, token in enumerate(ids)]
    words, tokens = words_of(characters, spans, 0.01)
    assert words == [pytest.approx(Timed("at", 0.0, 0.14)), pytest.approx(Timed("two", 0.3, 0.54))]
    assert "".join(token.text for token in tokens) == "attwo"


@pytest.mark.parametrize("name, arguments", [("characters", {}), ("sentencepiece", {"vocab_size": 30})])
def test_the_words_are_those_of_the_text(name, arguments):
    if name == "sentencepiece":
        pytest.importorskip("sentencepiece", reason="sentencepiece is not installed")
    made = tokenizer(name, **arguments)
    for text in TEXTS:
        spans = [Span(token, place, place + 1) for place, token in enumerate(made.encode(text))]
        words, tokens = words_of(made, spans, 1.0)
        assert [word.text for word in words] == text.split()
        assert [word.start for word in words] == sorted(word.start for word in words)
        assert "".join(token.text for token in tokens) == text.replace(" ", "")


def test_praat_reads_the_textgrid(tmp_path):
    parselmouth = pytest.importorskip("parselmouth", reason="praat-parselmouth is not installed")
    path = tmp_path / "clip.TextGrid"
    path.write_text(textgrid({"words": WORDS, "tokens": ()}, 2.5, "a comment"), encoding="utf-8")
    grid = parselmouth.read(str(path))
    call = parselmouth.praat.call
    assert call(grid, "Get number of tiers") == 2 and call(grid, "Get tier name", 1) == "words"
    count = call(grid, "Get number of intervals", 1)
    found = [
        (
            call(grid, "Get label of interval", 1, number),
            call(grid, "Get start time of interval", 1, number),
            call(grid, "Get end time of interval", 1, number),
        )
        for number in range(1, count + 1)
    ]
    assert [text for text, *_ in found] == ["", "bin", 'say "blue"', "", "now"]
    assert [end for *_, end in found] == pytest.approx([0.5, 0.9, 1.4, 1.75, 2.5])
    assert call(grid, "Get end time") == pytest.approx(2.5) and call(grid, "Get label of interval", 2, 1) == ""


def test_a_ctm_is_read_as_it_was_written(tmp_path):
    lines = "b 1 0.7 0.1 two 0.93\n\nb 1 0.2 0.5 one\n"  # a confidence, and not in order
    (tmp_path / "words.ctm").write_text("\ufeff" + ctm(WORDS[::2], "a", "a comment") + lines, encoding="utf-8")
    found = read_ctm(tmp_path / "words.ctm")
    assert list(found) == ["a", "b"] and [word.text for word in found["b"]] == ["one", "two"]
    for word, expected in zip([*found["a"], *found["b"]], [*WORDS[::2], ("", 0.2, 0.7), ("", 0.7, 0.8)], strict=True):
        assert word[1:] == pytest.approx(expected[1:])


def test_the_ctm_has_starts_and_durations():
    lines = ctm(WORDS[::2], "my clip", "a comment").splitlines()
    assert lines == [";; a comment", "my_clip 1 0.500 0.400 bin", "my_clip 1 1.750 1.250 now"]
