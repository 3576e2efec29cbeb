"""A generated corpus of audio: as many hours of text as asked for, in the voices of Kokoro-82M."""

from __future__ import annotations

import hashlib
import multiprocessing
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from functools import cached_property, partial
from pathlib import Path
from typing import TypeAlias

import soundfile

from v2skit.corpora.audio_corpus import AudioCorpus
from v2skit.corpora.corpus import CorpusUtterance
from v2skit.corpora.grid_grammar import jsgf
from v2skit.corpora.info import CorpusInfo
from v2skit.corpora.neural_voices.kokoro import SAMPLE_RATE, VOICES, Kokoro, Voices, check_packages
from v2skit.corpora.neural_voices.package import fetch_kokoro_js
from v2skit.corpora.neural_voices.sentences import Sentence, file_sentences, grid_sentences, plan
from v2skit.corpora.transcript import table, words
from v2skit.errors import UserError, suggestion
from v2skit.system.atomic import atomic_write, exclusive_lock, write_text
from v2skit.system.devices import cores
from v2skit.system.process import end_with_parent
from v2skit.system.progress import ProgressBar
from v2skit.system.provenance import Provenance

GRID = "grid"
INDEX, RECORD = "utterances.tsv", "made_of.json"

Row: TypeAlias = tuple[str, float, str]
"""Id, seconds and text of an utterance."""


class NeuralVoices(AudioCorpus):
    """Sentences in neural voices; the speaker is the voice.

    The utterances of fewer hours are the first of those of more, so that a corpus can grow; they do not depend on the
    number of processes. ``made_of.json`` in the corpus's folder records the settings, and the versions and digests of
    the packages that made it.

    Args:
        corpus_dir: folder to synthesise into, relative to the recipe's folder.
        hours: of speech, over all voices and splits.
        text: ``grid``: sentences of the GRID grammar that no talker of GRID says; or a text file, relative to the
            recipe's folder, with an English sentence a line.
        voices: names; None: all 28 English ones.
        seed: of the order of the sentences.
        kokoro_js_dir: folder of the unpacked npm package kokoro-js, relative to the recipe's folder; by default it is
            fetched with ``npm pack``.
        held_out: utterances in ``audio_valid`` and in ``audio_test``, at most; a tenth of the corpus where it is small.
        jobs: processes; 0: one per core. Each needs 0.5 GB of memory.

    Raises:
        UserError: an argument is out of range, or a voice is unknown.
    """

    title = "neural voices"
    info = CorpusInfo(where="stage 0 synthesises it, into the folder that {corpus_dir} names")
    make_voices: Callable[[Path], Voices] = Kokoro

    def __init__(
        self,
        work_dir: Path,
        corpus_dir: str = "corpus",
        hours: float = 2.0,
        text: str = GRID,
        voices: list[str] | None = None,
        seed: int = 0,
        kokoro_js_dir: str = "",
        held_out: int = 200,
        jobs: int = 0,
    ) -> None:
        super().__init__(work_dir, corpus_dir, held_out=held_out)
        if not 0 < hours < float("inf"):
            raise UserError(f"hours {hours} must be above 0")
        if seed < 0 or jobs < 0:
            raise UserError(f"seed {seed} and jobs {jobs} must not be negative")
        for voice in voices or ():
            if voice not in VOICES:
                raise UserError(f"voices: there is no voice '{voice}'{suggestion(voice, VOICES)}")
        if voices is not None and len(set(voices)) != len(voices or [""] * 2):
            raise UserError("voices is empty or names a voice twice")
        self.hours, self.text, self.voices, self.seed = hours, text, list(voices or VOICES), seed
        self.work_dir, self.kokoro_js_dir, self.jobs = Path(work_dir), kokoro_js_dir, jobs or cores()

    def obtain(self) -> str:
        """Synthesise what is missing of the corpus, in several processes; what an interrupted run made is kept.

        Raises:
            UserError: a package is missing, the text has too few sentences, or the folder has a corpus that was made
                with other settings or packages.
        """
        assert self.directory is not None, "it has a default folder"
        self._check_settings()
        if _seconds(self._rows()) < self.hours * 3600:
            with exclusive_lock(self.directory):
                self._synthesise(self.directory)
        return super().obtain()

    def grammar(self) -> str | None:
        """The JSGF grammar of GRID's sentences; None for other text."""
        return jsgf() if self.text == GRID else None

    def has(self, root: Path, part: str) -> bool:
        """Whether a folder contains the corpus."""
        return (root / INDEX).is_file()

    def utterances(self, root: Path, part: str) -> Iterator[CorpusUtterance]:
        """The first utterances, of as many hours as asked for."""
        for name, _, text in _first(iter(self._rows()), self.hours * 3600):
            voice = name.partition("-")[0]
            yield CorpusUtterance(name, voice, root / voice / f"{name}.flac", text=words(text))

    def _layout(self) -> str:
        return INDEX

    def _rows(self) -> list[Row]:
        """The utterances that were made, in the order of the plan."""
        assert self.directory is not None, "it has a default folder"
        path = self.directory / INDEX
        try:
            return [(name, float(seconds), text) for name, seconds, text in table(path)]
        except ValueError as error:
            raise UserError(f"{path} is damaged ({error}); delete it, then stage 0 writes it again") from error

    @cached_property
    def _sentences(self) -> list[Sentence]:
        return grid_sentences() if self.text == GRID else file_sentences(self.work_dir / self.text)

    @property
    def _settings(self) -> dict:
        """What the utterances' names and text are a function of."""
        text = "\n".join(sentence.text for sentence in self._sentences)
        return {"text": hashlib.sha256(text.encode()).hexdigest(), "voices": self.voices, "seed": self.seed}

    def _check_settings(self) -> None:
        """Raises UserError where the folder has a corpus with other settings, or one without a record."""
        assert self.directory is not None, "it has a default folder"
        made = Provenance.read(self.directory / RECORD)
        if made is None and any((self.directory / voice).is_dir() for voice in self.voices):
            raise self._occupied(f"has no {RECORD}, which says what made its files")
        if made and (differences := made.part("settings").diff(Provenance(self._settings))):
            raise self._occupied(f"was made with other settings ({', '.join(each.key for each in differences)})")

    def _synthesise(self, folder: Path) -> None:
        given = self.work_dir / self.kokoro_js_dir if self.kokoro_js_dir else None
        if given is None:
            check_packages()  # before the voices are fetched
        voices = self.make_voices(given or fetch_kokoro_js(folder / "kokoro-js", self.info.key))
        made_of = Provenance({"settings": self._settings, "packages": voices.made_of(self.voices)})
        made = Provenance.read(folder / RECORD)
        if made and (differences := made.diff(made_of)):
            keys = ", ".join(each.key for each in differences)
            raise self._occupied(f"was begun with other packages ({keys}); install those that {RECORD} names")
        made_of.write(folder / RECORD)
        synthesise = partial(_synthesise, folder, voices)
        print(f"{self.title}: {self.hours:g} h take about {self.hours * 60 / self.jobs:.0f} min, jobs: {self.jobs}")
        planned = plan(self._sentences, self.voices, self.seed)
        wanted = self.hours * 3600
        rows = []
        with ProgressBar(desc=self.title, total=wanted, unit="s", unit_scale=True) as progress:
            for row in _first(_in_order(synthesise, planned, self.jobs, self.info.key), wanted):
                rows.append(row)
                progress.update(min(row[1], wanted - progress.n))
        write_text(folder / INDEX, "".join(f"{name}\t{seconds}\t{text}\n" for name, seconds, text in rows))
        if (seconds := _seconds(rows)) < wanted:
            raise UserError(
                f"{self.text}: {len(self._sentences)} sentences in {len(self.voices)} voices are {seconds / 3600:.3g} "
                f"h, not {self.hours:g}; set hours to less, or give more sentences or voices"
            )

    def _occupied(self, problem: str) -> UserError:
        return self.info.error(f"{self.directory} {problem}, use another folder, or delete this one")


def _first(rows: Iterator[Row], seconds: float) -> Iterator[Row]:
    """The first rows, up to the one with which they have so many seconds."""
    total = 0.0
    while total < seconds and (row := next(rows, None)):
        yield row
        total += row[1]


def _seconds(rows: Iterable[Row]) -> float:
    return sum(seconds for _, seconds, _ in rows)


def _synthesise(folder: Path, voices: Voices, voice: str, sentence: Sentence) -> Row:
    """Write an utterance's file, unless it exists."""
    name = f"{voice}-{sentence.name}"
    path = folder / voice / f"{name}.flac"
    if not path.is_file():
        waveform = voices.synthesise(sentence.text, voice, sentence.isolated)
        with atomic_write(path) as part:
            soundfile.write(part, waveform, SAMPLE_RATE, "PCM_16", format="FLAC")
    return name, soundfile.info(path).duration, sentence.text


def _in_order(
    synthesise: Callable[[str, Sentence], Row], planned: Iterable[tuple[str, Sentence]], jobs: int, key: str
) -> Iterator[Row]:
    """The results, in the order of the plan, of which only a few items more are begun than are used."""
    if jobs == 1:
        yield from (synthesise(*item) for item in planned)
        return
    pending: deque[Future[Row]] = deque()
    spawn = multiprocessing.get_context("spawn")  # a fork of a process with threads may hang
    pool = ProcessPoolExecutor(jobs, spawn, end_with_parent)
    try:
        for item in planned:
            pending.append(pool.submit(synthesise, *item))
            if len(pending) >= 4 * jobs:
                yield pending.popleft().result()
        while pending:
            yield pending.popleft().result()
    except BrokenProcessPool as error:
        raise UserError(
            f"a process of the synthesis died, possibly out of memory; run again, which resumes, with fewer processes: "
            f"--set {key}.jobs={max(1, jobs // 2)}"
        ) from error
    finally:
        pool.shutdown(cancel_futures=True)
