"""A corpus: its utterances, and how they are split."""

from pathlib import Path

from v2skit.corpora.corpus import CorpusUtterance
from v2skit.corpora.mini.corpus import Mini


class MyComponent:
    """The generated corpus of the mini recipe, split by speaker: those of validation and test are unseen in training.

    Your own corpus makes its utterances from files instead: ``CorpusUtterance("s1-a", "s1", audio=..., video=...,
    text="WORDS")`` for each clip.

    Args:
        work_dir: the recipe's folder; given by the toolkit.
        utterances: audio-visual clips to generate.
        audio_utterances: clips to generate for pre-training.
    """

    def __init__(self, work_dir: Path, utterances: int = 44, audio_utterances: int = 40) -> None:
        self.mini = Mini(work_dir, utterances, audio_utterances)

    def obtain(self) -> str:
        """Stage 0: find, fetch or generate the files. Returns one line for the user."""
        return self.mini.obtain()

    def splits(self) -> dict[str, list[CorpusUtterance]]:
        """Data directory -> its utterances; each is in one only, and they are the same at each call."""
        found = self.mini.splits()
        clips = [utterance for name in ("train", "valid", "test") for utterance in found[name]]
        names = sorted({utterance.speaker for utterance in clips})
        part = {**dict.fromkeys(names, "train"), names[-2]: "valid", names[-1]: "test"}
        splits = {name: [u for u in clips if part[u.speaker] == name] for name in ("train", "valid", "test")}
        return {"audio": found["audio"], **splits}

    def grammar(self) -> str | None:
        """A JSGF grammar of the sentences for the recogniser; None where there is none."""
        return self.mini.grammar()
