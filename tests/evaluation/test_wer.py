"""Word error rate: hand-made examples, and the chance level."""

import pytest

from v2skit.evaluation.wer import Edits, chance_wer, count_edits


@pytest.mark.parametrize(
    ("reference", "hypothesis", "edits"),
    [
        ("A B C", "A B C", Edits(0, 0, 0, 3)),
        ("A B C", "A X C", Edits(1, 0, 0, 3)),
        ("A B C", "A C", Edits(0, 1, 0, 3)),
        ("A B C", "A B X C", Edits(0, 0, 1, 3)),
        ("A B C", "", Edits(0, 3, 0, 3)),
        ("", "A B", Edits(0, 0, 2, 0)),
        ("A", "B C D", Edits(1, 0, 2, 1)),
        ("A B C D", "B C D E", Edits(0, 1, 1, 4)),
        ("BIN BLUE AT F TWO NOW", "BIN BLUE BY S TWO AGAIN NOW", Edits(2, 0, 1, 6)),
    ],
)
def test_edits_of_sentences(reference, hypothesis, edits):
    assert count_edits(reference.split(), hypothesis.split()) == edits


def test_edits_are_as_few_as_possible_and_add_up():
    edits = count_edits(list("intention"), list("execution"))
    assert edits.errors == edits.substitutions + edits.deletions + edits.insertions == 5
    assert edits.insertions == edits.deletions  # both have nine letters


def test_chance_of_independent_words_is_the_share_that_differs():
    # Six slots of four words, every combination of two slots: another sentence agrees in a quarter of them or so.
    sentences = [[f"A{i}", f"B{j}"] for i in range(4) for j in range(4)]
    assert chance_wer(sentences) == pytest.approx(12 / 15, abs=0.03)
    assert chance_wer(sentences) == chance_wer(sentences) != chance_wer(sentences, seed=2)


def test_chance_never_answers_with_the_utterance_itself():
    assert chance_wer([["A", "B"], ["C", "D"]]) == 1.0
    assert chance_wer([["A", "B"], ["A", "B"]]) == 0.0
    assert chance_wer([["A"]]) is chance_wer([["A"], []]) is chance_wer([]) is None
