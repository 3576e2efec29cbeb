"""``v2skit evaluate``: a trained model on test clips, from their videos to a table of scores."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

import numpy as np

from v2skit.config.features import check_same_features, feature_settings
from v2skit.config.load import check_component
from v2skit.config.schema import Config
from v2skit.config.upgrade import upgrade
from v2skit.corpora.corpus import CorpusUtterance
from v2skit.data.data_dir import is_prepared, read_manifest, read_settings, read_silent, read_table
from v2skit.errors import UserError
from v2skit.models import checkpoint
from v2skit.models.build import vocoder_input
from v2skit.preparation.prepare import prepare
from v2skit.recipes.data import corpus_settings
from v2skit.recipes.recipe import Recipe
from v2skit.recipes.score import score
from v2skit.recipes.synth import ResultsRow, checkpoint_source, synth
from v2skit.recipes.trained_on import data_directories
from v2skit.registry import plugins
from v2skit.registry.build import build
from v2skit.registry.component import Component
from v2skit.synthesis.directory import check_prepared, copy_synthesis, resynthesise, source_of, synthesise_directory
from v2skit.synthesis.synthesiser import Synthesiser
from v2skit.system.atomic import exclusive_lock
from v2skit.system.provenance import worded

TEST = "test"
MOST_NAMES = 10
"""Talkers that a note names."""


class TestPart:
    """The test clips of a corpus, as a corpus.

    Args:
        corpus: one of its data directories is ``test`` or ends in ``/test``.

    Raises:
        UserError: it has no test clips, or can't be read.
    """

    def __init__(self, corpus: Any) -> None:
        self.corpus = corpus
        found = {name: clips for name, clips in corpus.splits().items() if name.split("/")[-1] == TEST and clips}
        if not found:
            raise UserError("the corpus has no test clips; --corpus '{type: custom, split: test}' takes all videos")
        self.name, self.clips = next(iter(found.items()))

    def obtain(self) -> str:
        """As the corpus."""
        return str(self.corpus.obtain())

    def splits(self) -> dict[str, list[CorpusUtterance]]:
        """The one data directory."""
        return {self.name: self.clips}

    def grammar(self) -> str | None:
        """As the corpus."""
        return self.corpus.grammar()


def evaluate(
    model: Synthesiser,
    source: Path,
    clips: Path,
    corpus: Component | None,
    out: Path,
    voice: str | None = None,
    audio_model: Path | None = None,
    force: bool = False,
    asr: Component | Literal["model"] | None = "model",
) -> None:
    """Prepare test clips with the settings of a model, synthesise their speech and score it as in the model's recipe:
    an experiment's folder without training. What is finished is skipped. The rows before the model's are the upper
    bounds of its vocoder, which is copy synthesis, and of a decoder. Clips and talkers of the model's training are
    noted.

    Args:
        model: loaded.
        source: where it was loaded from.
        clips: the corpus's folder, or a prepared data directory.
        corpus: the corpus; for a data directory its grammar alone is used, None: that of its preparation.
        out: folder of the data directory, the speech and the results.
        voice: of the model, for all clips; None: each talker's own, from other clips.
        audio_model: an A2A model that is given the ground-truth audio, with the vocoder of the other; None: none.
        force: repeat what is finished.
        asr: the speech recogniser; ``model``: that of the model's training, None: none.

    Raises:
        UserError: there are no test clips, they can't be prepared, synthesised or scored, or there is no such voice.
    """
    speaker = None if voice is None else model.voice(voice)
    config = _config(model.config, corpus or _corpus_of(clips, model.config.corpus))
    if asr != "model":
        config = replace(config, scoring=replace(config.scoring, asr=asr))
    recipe = Recipe(config, out, out, force, model.model.device)
    with plugins.using(config.plugins):
        if is_prepared(clips):
            folder, name = clips.resolve().parent, clips.resolve().name
            with _explained(f"{clips} fits no model of other settings; give the folder of its videos instead"):
                check_prepared(config, clips, with_video=True)
        else:
            folder = out.resolve() / "data"
            name = _prepare(recipe, folder, model, speaker is None)
        data = replace(config.data, folder=str(folder), test=name)
        recipe = replace(recipe, config=replace(config, data=data))
        overlap = training_overlap(model, source, recipe.test)
        if overlap:
            print(f"note: {overlap}")
        rows = dict(_rows(recipe, model, source, speaker, audio_model, overlap))
        synth(recipe, rows)
        score(recipe, rows, (), source)


def _corpus_of(directory: Path, trained: Component) -> Component:
    """The corpus of a data directory, whose grammar the recogniser uses: the one of a training where it is the same, or
    where none is known."""
    tree = upgrade(read_settings(directory)).get("corpus")
    if not isinstance(tree, dict) or tree.get("type") == trained.type:
        return trained
    try:
        corpus = check_component("corpus", tree, str(directory))
        build("corpus", corpus, work_dir=directory).grammar()
    except UserError as error:  # of a plug-in or of another version, or its grammar is that of files which are not here
        print(f"note: no grammar is used for {directory}, since that of its corpus can't be made here ({error})")
        return Component("custom", {})
    return corpus


def _config(config: Config, corpus: Component) -> Config:
    """That of the training, with another corpus, and neither its cluster nor its protocol; clips that can't be used
    are left out, and counted."""
    here = replace(config.prepare, jobs=0, cluster="local", slurm={}, max_failed_share=1.0)
    config = replace(config, corpus=corpus, audio_corpus=None, prepare=here)
    return replace(config, scoring=replace(config.scoring, protocol=None))


def _prepare(recipe: Recipe, folder: Path, model: Synthesiser, with_voices: bool) -> str:
    """Prepare the test clips of the corpus, and the talkers' voices where these are used. Returns the name of their
    data directory in ``folder``."""
    config = recipe.config
    corpus = TestPart(recipe.build_corpora()[0])
    print(corpus.obtain())
    with exclusive_lock(folder):
        made_of = {"corpus": corpus_settings(config.corpus)}
        settings = config.tracker, config.clock, config.crop
        with _explained(f"{folder} is of another model; give another folder with -o, or --force to prepare it again"):
            prepare(corpus, *settings, folder, config.prepare, force=recipe.force, made_of=made_of)
        lengths = folder / corpus.name / "utt2num_frames"
        if not read_table(lengths):
            lengths.unlink()  # so that they are tried again
            reasons = folder / corpus.name / "report.md"
            raise UserError(f"none of the {len(corpus.clips)} test clips can be used; {reasons} has the reasons")
        if with_voices:
            speaker: Any = model.model.speaker
            speaker.prepare(folder / corpus.name)
    return corpus.name


@contextmanager
def _explained(text: str) -> Iterator[None]:
    """Where data were prepared with other settings, a UserError with the remedy that this command has."""
    try:
        yield
    except UserError as error:
        if differences := error.fields.get("differences"):
            raise UserError(f"prepared with other settings ({worded(differences)}): {text}", **error.fields) from error
        raise


def training_overlap(model: Synthesiser, source: Path, directory: Path) -> str:
    """What test clips have in common with the model's training, by ids of clips and names of talkers; "" for nothing.

    Args:
        model: loaded.
        source: where it was loaded from.
        directory: the data directory of the test clips.
    """
    talkers, found = read_table(directory / "utt2spk"), []
    data = model.config.data
    near = (*source.resolve().parents, Path.cwd(), *directory.resolve().parents)
    for trained in data_directories(dict.fromkeys([*data.pretrain, data.train]), data.folder, near).values():
        shared = talkers.keys() & read_table(trained / "utt2spk").keys()
        if shared:
            found.append(f"{len(shared)} of {len(talkers)} clips are in the training data {trained}")
    known = sorted(set(talkers.values()) & set(model.speakers))
    if known:
        more = f" and {len(known) - MOST_NAMES} more" if len(known) > MOST_NAMES else ""
        found.append(f"talkers that the model was trained on: {', '.join(known[:MOST_NAMES])}{more}")
    return "; ".join(found)


def _rows(
    recipe: Recipe,
    model: Synthesiser,
    source: Path,
    speaker: np.ndarray | None,
    audio_model: Path | None,
    overlap: str,
) -> Iterator[tuple[str, ResultsRow]]:
    """The model, after its vocoder's copy synthesis where it has one of mels, and after the audio model."""
    directory, vocoder = recipe.test, model.vocoder
    made_from = source_of(model, source, directory)

    def copies(out: Path) -> None:
        assert vocoder is not None
        copy_synthesis(vocoder, recipe.config, read_manifest(directory), out)

    def speech(out: Path) -> None:
        synthesise_directory(model, read_silent(directory), directory, out, speaker)

    if vocoder is not None and vocoder_input(vocoder) == "mel":
        yield "copy_synthesis", ResultsRow(lambda: {"vocoder": made_from["vocoder"]}, copies, uses_reference_audio=True)
    if audio_model is not None:
        found = checkpoint.folder_in(audio_model, "--audio_model: give a run of stage 2", "pretrain")
        ours = feature_settings(model.config.clock, model.config.mel)
        check_same_features(checkpoint.read_meta(found).features, ours, f"the audio model {found}", "the model")

        def resynthesised(out: Path) -> None:
            resynthesise(found, recipe.device, read_manifest(directory), directory, out, vocoder)

        chain = {key: made_from[key] for key in ("vocoder",) if key in made_from}
        bound = ResultsRow(lambda: {**checkpoint_source(found), **chain}, resynthesised, uses_reference_audio=True)
        yield "audio_to_audio", bound
    voice = "" if speaker is None else hashlib.sha256(speaker.tobytes()).hexdigest()[:12]
    note = f"{source.name}, weights {model.digest}{', one voice for all clips' if voice else ''}"
    note += f"; {overlap}" if overlap else ""
    yield "model", ResultsRow(lambda: {**made_from, "voice": voice}, speech, reads_lips=True, note=note)
