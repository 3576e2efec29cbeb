"""A generated corpus: GRID sentences synthesised by espeak-ng, with a drawn mouth."""

from __future__ import annotations

import functools
import json
import multiprocessing
import shutil
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import soundfile

from v2skit.corpora.corpus import CorpusUtterance
from v2skit.corpora.grid_grammar import jsgf, sample_codes, sentence_from_code
from v2skit.corpora.mini.mouth import draw, random_face
from v2skit.corpora.mini.speech import SAMPLE_RATE, VOICES, speak
from v2skit.corpora.mini.visemes import articulate
from v2skit.errors import UserError
from v2skit.media.crops import write_crops
from v2skit.system.atomic import waiting_lock
from v2skit.system.devices import cores
from v2skit.system.locks import holder
from v2skit.system.progress import ProgressBar

VERSION = 6
"""Increases with every change of the generated data, so that older corpora are generated again."""

FPS = 25
SAMPLES_PER_FRAME = SAMPLE_RATE // FPS
SPEECH_RMS = 0.07
QUANTISER = 1
ROOM_NOISE_RMS = 1.5e-4
"""Speech recognition normalises by the noise floor: in digital silence pocketsphinx has a WER of a third."""

INDEX = "corpus.json"
HELD_OUT_SHARE = 11
"""One audio-visual utterance in 11 is for validation, and one for testing."""


class Mini:
    """GRID sentences by espeak-ng in several voices, with a drawn mouth; generated in about a minute.

    No sentence occurs twice, so that none is shared between splits.

    Args:
        work_dir: the recipe's folder; the corpus is generated in its subfolder ``corpus``.
        utterances: audio-visual utterances, of which 1/11 is for validation and 1/11 for testing.
        audio_utterances: audio-only utterances, for pre-training.
        voices: number of voices, of 8.
        seed: the corpus is a function of it and of the sizes above.
        pixels: side of the frames.
        jobs: processes; 0: one per core.

    Raises:
        UserError: an argument is out of range.
    """

    def __init__(
        self,
        work_dir: Path,
        utterances: int = 440,
        audio_utterances: int = 1600,
        voices: int = 4,
        seed: int = 1,
        pixels: int = 48,
        jobs: int = 0,
    ) -> None:
        if utterances < 3:
            raise UserError(f"corpus mini: {utterances} utterances can't fill train, valid and test; set 3 or more")
        if audio_utterances < 1:
            raise UserError(f"corpus mini: audio_utterances is {audio_utterances}; set 1 or more")
        if not 1 <= voices <= len(VOICES):
            raise UserError(f"corpus mini: voices is {voices}; set 1 to {len(VOICES)}")
        if seed < 0 or jobs < 0:
            raise UserError(f"corpus mini: seed {seed} and jobs {jobs} must not be negative")
        if pixels < 16 or pixels % 2:
            raise UserError(f"corpus mini: pixels {pixels} must be even and 16 or more")
        self.folder = Path(work_dir) / "corpus"
        self.jobs = jobs or cores()
        self.settings = {
            "version": VERSION,
            "utterances": utterances,
            "audio_utterances": audio_utterances,
            "voices": voices,
            "seed": seed,
            "pixels": pixels,
        }

    def obtain(self) -> str:
        """Generate the corpus, unless one with the same settings exists. It is complete or does not exist.

        Returns:
            one line for the user: its size, and where it is.

        Raises:
            UserError: espeak-ng can't be used, the grammar has fewer sentences, or the folder has files of others.
        """
        if self._index() is None:
            self._check_replaceable()
            self._generate()
        counts = ", ".join(f"{len(utterances)} {name}" for name, utterances in self.splits().items())
        return f"corpus mini at {self.folder}: {counts}"

    def splits(self) -> dict[str, list[CorpusUtterance]]:
        """``audio`` (without video), ``train``, ``valid`` and ``test``. Raises UserError before :meth:`obtain`."""
        index = self._index()
        if index is None:
            raise UserError(f"{self.folder} has no mini corpus with these settings; stage 0 generates it")
        found: dict[str, list[CorpusUtterance]] = {name: [] for name in ("audio", "train", "valid", "test")}
        for row in index:
            media = self.folder / ("audio" if row["split"] == "audio" else "av") / row["id"]
            video = None if row["split"] == "audio" else media.with_suffix(".mp4")
            audio = media.with_suffix(".flac")
            found[row["split"]].append(CorpusUtterance(row["id"], row["speaker"], audio, video, row["text"]))
        return found

    def grammar(self) -> str:
        """The JSGF grammar of the sentences."""
        return jsgf()

    def _index(self) -> list[dict] | None:
        """The generated utterances; None where there is no corpus with these settings."""
        index = self._read()
        return index["utterances"] if index["settings"] == self.settings else None

    def _read(self) -> dict[str, Any]:
        """The file with the settings and utterances of the existing corpus, whatever its settings."""
        if not (self.folder / INDEX).is_file():
            return {"settings": None, "utterances": []}
        try:
            index = json.loads((self.folder / INDEX).read_text(encoding="utf-8"))
            return {"settings": index["settings"], "utterances": index["utterances"]}
        except (ValueError, LookupError, TypeError) as error:
            raise UserError(f"{self.folder / INDEX} is damaged ({error}); delete {self.folder}") from error

    def _check_replaceable(self) -> None:
        """Raises UserError where the folder, which is to be replaced, has files that are not of this corpus."""
        ids = {row["id"] for row in self._read()["utterances"]}
        for path in self.folder.rglob("*"):
            name = path.relative_to(self.folder)
            own = str(name) == INDEX or (str(name.parent) in ("audio", "av") and path.stem in ids)
            if not own and not path.is_dir():
                by = holder(path) if path.suffix == ".lock" else ""
                at_work = f"; {by} is at work there, or was killed: wait until it is done" if by else ""
                raise UserError(
                    f"{path} is not of the mini corpus, which is to be generated into {self.folder.resolve()}{at_work}"
                    "; move it away, or generate the corpus elsewhere with v2skit stage obtain --work_dir FOLDER",
                    path=path,
                )

    def _generate(self) -> None:
        plan = self._plan()
        with waiting_lock(self.folder):
            if self._index() is None:  # still, after another process
                self._write(plan)

    def _write(self, plan: list[tuple[str, str, str]]) -> None:
        target = self.folder.resolve()  # it may be a link to another disk
        partial = target.with_name(f"{target.name}.partial")
        shutil.rmtree(partial, ignore_errors=True)
        for name in ("audio", "av"):
            (partial / name).mkdir(parents=True)
        make = functools.partial(make_utterance, partial, self.settings["seed"], self.settings["pixels"])
        progress = functools.partial(ProgressBar, total=len(plan), desc="corpus mini", unit="utterance")
        if self.jobs == 1:
            rows = list(progress(map(make, *zip(*plan, strict=True))))
        else:
            spawn = multiprocessing.get_context("spawn")  # a fork of a process with threads may hang
            with ProcessPoolExecutor(self.jobs, mp_context=spawn) as pool:
                rows = list(progress(pool.map(make, *zip(*plan, strict=True), chunksize=8)))
        index = {"settings": self.settings, "utterances": rows}
        (partial / INDEX).write_text(json.dumps(index, ensure_ascii=False, indent=0) + "\n", encoding="utf-8")
        shutil.rmtree(target, ignore_errors=True)
        partial.rename(target)

    def _plan(self) -> list[tuple[str, str, str]]:
        """(split, voice, sentence code) of each utterance; the slow audio-visual ones first, voices alternate."""
        total, audio_only = self.settings["utterances"], self.settings["audio_utterances"]
        held_out = max(1, total // HELD_OUT_SHARE)
        sizes = {"train": total - 2 * held_out, "valid": held_out, "test": held_out, "audio": audio_only}
        codes = iter(sample_codes(total + audio_only, np.random.default_rng(self.settings["seed"])))
        return [
            (split, VOICES[number % self.settings["voices"]], next(codes))
            for split, size in sizes.items()
            for number in range(size)
        ]


def make_utterance(folder: Path, seed: int, pixels: int, split: str, voice: str, code: str) -> dict:
    """Synthesise one sentence, draw its mouth unless the split is ``audio``, and write the files.

    Everything is drawn from generators seeded by (seed, id): they do not depend on the number of processes.

    Returns:
        its line of the index: id, split, speaker, text, frames and phonemes as [start in seconds, IPA].
    """
    speaker = voice.partition("+")[2]
    identity, text = f"{speaker}-{code}", sentence_from_code(code)
    generator = np.random.default_rng([seed, *identity.encode()])
    speech = speak(text, voice, int(generator.integers(115, 150)))
    lead, tail = generator.uniform(0.08, 0.24, 2)
    frames = int(np.ceil((lead + len(speech.waveform) / SAMPLE_RATE + tail) * FPS))
    waveform = generator.normal(0.0, ROOM_NOISE_RMS, frames * SAMPLES_PER_FRAME)
    start = int(lead * SAMPLE_RATE)
    level = SPEECH_RMS / np.sqrt(np.mean(np.square(speech.waveform)))
    waveform[start : start + len(speech.waveform)] += level * speech.waveform
    phonemes = [(start / SAMPLE_RATE + begin, phoneme) for begin, phoneme in speech.phonemes]
    media = folder / ("audio" if split == "audio" else "av") / identity
    soundfile.write(media.with_suffix(".flac"), np.clip(waveform, -1.0, 1.0), SAMPLE_RATE, subtype="PCM_16")
    if split != "audio":
        face = random_face(np.random.default_rng([seed, *speaker.encode()]), generator, pixels)
        pictures = draw(articulate(phonemes, frames, FPS, generator), FPS, face, generator)
        write_crops(media.with_suffix(".mp4"), pictures, FPS, QUANTISER)
    return {
        "id": identity,
        "split": split,
        "speaker": speaker,
        "text": text,
        "frames": frames,
        "phonemes": [[round(begin, 4), phoneme] for begin, phoneme in phonemes],
    }
