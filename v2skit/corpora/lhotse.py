"""Cuts of Lhotse: manifests of them, or folders in its Shar format."""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from v2skit.corpora.corpus import CorpusUtterance
from v2skit.corpora.unpacked import UnpackedCorpus, named, normalised
from v2skit.errors import UserError
from v2skit.system.atomic import atomic_write
from v2skit.system.extras import needs

MANIFESTS = (".jsonl.gz", ".jsonl", ".json.gz", ".json")
FIELDS = ("cuts", "recording")
"""Of a folder in the Shar format, those that are read."""
NOBODY = "speaker"
"""The speaker of cuts that name none."""


class Lhotse(UnpackedCorpus):
    """Cuts of Lhotse, as audio or as video.

    A source of ``splits`` is a manifest of cuts (``cuts.jsonl.gz``) or a folder in the Shar format, whose audio stage 0
    unpacks. Recordings of a manifest are files, with paths relative to its folder or, as Lhotse has them, to the
    current one; a recording with a video is an audio-visual utterance. Nothing that a manifest names is run or fetched.
    """

    title = "Lhotse cuts"

    def files(self, source: Path) -> list[Path]:
        """The manifest, or all files of the Shar folder."""
        if source.is_file():
            if not source.name.endswith(MANIFESTS):
                raise UserError(f"{source} is no manifest of cuts ({' '.join(MANIFESTS)})")
            return [source]
        if not source.exists():
            raise UserError(
                f"{source} is missing; give a manifest of cuts (cuts.jsonl.gz) or a folder in the Shar format"
            )
        found = sorted(path for path in source.iterdir() if path.name.partition(".")[0] in FIELDS)
        if "cuts" not in _shards(found):
            raise UserError(f"{source} is no folder in the Shar format: it has no cuts.000000.jsonl.gz")
        return found

    def read(self, source: Path, files: list[Path], folder: Path) -> Iterator[CorpusUtterance]:
        """See :meth:`UnpackedCorpus.read`."""
        with needs("lhotse", "corpus 'lhotse'"):
            from lhotse import CutSet
        with _explained(source):
            cuts = iter(CutSet.from_shar(fields=_shards(files)) if source.is_dir() else CutSet.from_file(files[0]))
        while True:
            with _explained(source):
                cut = next(cuts, None)
            if cut is None:
                return
            yield _utterance(cut, source, folder)


def _shards(files: list[Path]) -> dict[str, list[str]]:
    """Field -> its files, of those that a Shar folder has."""
    fields = {field: [str(path.absolute()) for path in files if path.name.startswith(field + ".")] for field in FIELDS}
    return {field: paths for field, paths in fields.items() if paths}


@contextmanager
def _explained(source: Path) -> Iterator[None]:
    """Context of Lhotse's reading. Raises UserError for whatever it raises."""
    try:
        yield
    except Exception as error:
        raise UserError(f"{source} can't be read as cuts of Lhotse ({type(error).__name__}: {error})") from error


def _utterance(cut: Any, manifest: Path, folder: Path) -> CorpusUtterance:
    def problem(what: str) -> UserError:
        return UserError(f"{manifest}: cut '{cut.id}' {what}")

    if type(cut).__name__ not in ("MonoCut", "MultiCut"):
        raise problem(f"is a {type(cut).__name__}; save what it mixes as recordings (CutSet.save_audios)")
    if not cut.has_recording:
        raise problem("has no recording; v2skit computes features itself, and needs the audio")
    recording = cut.recording
    if any(not _is_resampling(transform) for transform in recording.transforms or ()):
        raise problem("changes its recording (speed, volume, ...); save the result first (CutSet.save_audios)")
    if type(cut).__name__ == "MonoCut" and recording.num_channels not in (None, 1) and not recording.has_video:
        raise problem(f"is one of {recording.num_channels} channels; save it as a mono file (CutSet.save_audios)")
    speakers = {s.speaker for s in cut.supervisions if s.speaker} or {NOBODY}
    if len(speakers) > 1:
        raise problem(f"has {len(speakers)} speakers; cut it by supervision (CutSet.trim_to_supervisions)")
    name, speaker = named(str(cut.id), speakers.pop())
    text = normalised(" ".join(s.text for s in sorted(cut.supervisions, key=lambda s: s.start) if s.text))
    if len({bool(source.video) for source in recording.sources}) < len(recording.sources):
        raise problem("has several files of audio, or of video; save them as one (CutSet.save_audios)")
    paths = {bool(source.video): _path(source, manifest, folder, name, problem) for source in recording.sources}
    video, audio = paths.get(True), paths.get(False, paths.get(True))
    start, end = float(cut.start), float(cut.start + cut.duration)
    whole = start < 1e-3 and math.isclose(end, recording.duration, abs_tol=0.04)
    if video and not whole:
        raise problem("is a part of its video; save it as a video file of its own")
    return CorpusUtterance(name, speaker, audio, video, text, 0.0 if whole else start, None if whole else end)


def _is_resampling(transform: Any) -> bool:
    name = transform.get("name") if isinstance(transform, dict) else type(transform).__name__
    return name == "Resample"


def _path(source: Any, manifest: Path, folder: Path, name: str, problem: Any) -> Path:
    """The file of a recording; audio that comes with the cut (Shar) is written to one."""
    if source.type == "memory":
        path = folder / f"{name}.audio"  # of any format, which its content tells
        with atomic_write(path) as part:
            part.write_bytes(source.source)
        return path.absolute()
    if source.type != "file":
        raise problem(f"has a recording of type '{source.type}'; only files are read: save them (CutSet.save_audios)")
    beside = (manifest if manifest.is_dir() else manifest.parent) / source.source
    path = beside if beside.exists() else Path(source.source)
    if not path.is_file():
        raise problem(
            f"has the recording {source.source}, which is no file; paths are relative to the manifest's folder"
        )
    return path.absolute()
