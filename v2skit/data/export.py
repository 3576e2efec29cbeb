"""A data directory for other toolkits: as cuts of Lhotse, in its Shar format, or as a WebDataset."""

from __future__ import annotations

import io
import json
import tarfile
from collections.abc import Callable, Iterable
from contextlib import ExitStack
from importlib import import_module
from pathlib import Path
from typing import Any

import soundfile

from v2skit.config.features import Clock
from v2skit.data.data_dir import Utterance, read_clock, read_manifest
from v2skit.errors import UserError
from v2skit.media.ark import open_location
from v2skit.media.audio import read_audio
from v2skit.media.crops import read_crops
from v2skit.system.atomic import delete_folder, exclusive_lock, is_unused, unfinished
from v2skit.system.extras import needs
from v2skit.system.progress import ProgressBar

CROPS = "mouth_crops"
"""Field of a cut with the mouth crops."""


def export_data_dir(directory: Path, out: Path, kind: str, shard_size: int = 1000) -> str:
    """Write the audio, texts, speakers and mouth crops of a data directory; an interrupted export leaves no ``out``.

    Args:
        directory: a data directory.
        out: a folder that is new or empty.
        kind: ``lhotse``: ``cuts.jsonl.gz``, with the absolute paths of the audio (FLAC) and of the mouth crops (NumPy
            arrays) beside it; ``shar``: shards of these, which can be moved; ``webdataset``: tar files with
            ``ID.flac``, ``ID.crops.mp4`` and ``ID.json``. Cuts have the mouth crops, uint8 (T,H,W), in the field
            ``mouth_crops``.
        shard_size: utterances a shard.

    Returns:
        one line for the user: what was written.

    Raises:
        UserError: the directory is not prepared or empty, ``out`` is in use, a package is missing, or ``shard_size`` is
            not positive.
    """
    if shard_size < 1:
        raise UserError(f"shard size {shard_size} must be at least 1")
    out = out.resolve()  # of a link to an empty folder, the folder
    utterances, clock = read_manifest(directory), read_clock(directory)
    if not utterances:
        raise UserError(f"{directory} has no utterances")
    if kind != "webdataset":
        with needs("lhotse", "the export to Lhotse", "give --format webdataset"):
            import_module("lhotse")
    with exclusive_lock(out):
        if not is_unused(out):
            raise UserError(f"{out} is not an empty folder; name a new one")
        part = unfinished(out)
        delete_folder(part)
        part.mkdir()
        FORMATS[kind](utterances, clock, part, out, shard_size)
        delete_folder(out)  # an empty one
        part.rename(out)
    hours = sum(utterance.frames for utterance in utterances) / clock.fps / 3600
    return f"{len(utterances)} utterances, {hours:.2f} h, of {directory} are in {out}, format {kind}"


def _lhotse(utterances: list[Utterance], clock: Clock, part: Path, out: Path, shard_size: int) -> None:
    from lhotse import CutSet
    from lhotse.audio import AudioSource
    from lhotse.features.io import NumpyFilesWriter

    (part / "audio").mkdir()
    with CutSet.open_writer(part / "cuts.jsonl.gz") as writer, NumpyFilesWriter(part / CROPS) as arrays:
        for utterance in _progress(utterances):
            cut = _cut(utterance, clock)
            (memory,) = cut.recording.sources
            path = f"audio/{utterance.id}.flac"
            (part / path).write_bytes(memory.source)
            cut.recording.sources = [AudioSource("file", memory.channels, str(out / path))]
            if utterance.video:
                crops = read_crops(utterance.video)
                array = arrays.store_array(utterance.id, crops, frame_shift=1 / clock.fps, temporal_dim=0)
                array.array.storage_path = str(out / CROPS)
                cut.custom = {CROPS: array}
            writer.write(cut)


def _shar(utterances: list[Utterance], clock: Clock, part: Path, out: Path, shard_size: int) -> None:
    from lhotse.shar import SharWriter

    fields = {"recording": "flac"} | ({CROPS: "numpy"} if any(u.video for u in utterances) else {})
    with SharWriter(str(part), fields=fields, shard_size=shard_size) as writer:
        for utterance in _progress(utterances):
            cut = _cut(utterance, clock)
            if utterance.video:
                crops = read_crops(utterance.video)
                cut = cut.attach_tensor(CROPS, crops, frame_shift=1 / clock.fps, temporal_dim=0)
            writer.write(cut)


def _cut(utterance: Utterance, clock: Clock) -> Any:
    """A cut with the audio in memory."""
    from lhotse import Recording, SupervisionSegment

    cut = Recording.from_bytes(_flac(utterance, clock), utterance.id).to_cut()
    cut.id = utterance.id
    said = SupervisionSegment(
        utterance.id, utterance.id, 0.0, cut.duration, text=utterance.text, speaker=utterance.speaker
    )
    cut.supervisions = [said]
    return cut


def _webdataset(utterances: list[Utterance], clock: Clock, part: Path, out: Path, shard_size: int) -> None:
    ids: dict[str, str] = {}
    with ExitStack() as shard:
        for index, utterance in enumerate(_progress(utterances)):
            if index % shard_size == 0:
                shard.close()
                tar = shard.enter_context(tarfile.open(part / f"{index // shard_size:06}.tar", "w"))
            key = utterance.id.replace(".", "_")  # a key ends at the first dot
            if other := ids.get(key):
                raise UserError(f"'{other}' and '{utterance.id}' have one name in a WebDataset; rename one")
            ids[key] = utterance.id
            about = {"speaker": utterance.speaker, "text": utterance.text, "frames": utterance.frames}
            about |= {"frames_per_second": clock.fps}
            files = {".flac": _flac(utterance, clock), ".json": json.dumps(about).encode()}
            if utterance.video:
                files[".crops.mp4"] = _content(utterance.video)
            for suffix, content in files.items():
                member = tarfile.TarInfo(key + suffix)
                member.size = len(content)
                tar.addfile(member, io.BytesIO(content))


def _progress(utterances: list[Utterance]) -> Iterable[Utterance]:
    return ProgressBar(utterances, "exporting", unit="utterance")


def _flac(utterance: Utterance, clock: Clock) -> bytes:
    """The audio, which data directories have as 16-bit samples. Raises UserError where an utterance has none."""
    if utterance.audio is None:
        raise UserError(f"'{utterance.id}' has no audio, which the format needs; export a directory with audio")
    waveform = read_audio(utterance.audio, clock.sample_rate, 0, utterance.frames * clock.samples_per_frame)
    content = io.BytesIO()
    soundfile.write(content, waveform, clock.sample_rate, format="FLAC", subtype="PCM_16")
    return content.getvalue()


def _content(location: Path) -> bytes:
    """A file, or the file in an archive's entry. Raises UserError where it can't be read."""
    try:
        place = open_location(location)
        return Path(place).read_bytes() if isinstance(place, str) else place.read()
    except OSError as error:
        raise UserError(f"{location} can't be read ({error}); prepare the data again (stage 1 --force)") from error


FORMATS: dict[str, Callable[[list[Utterance], Clock, Path, Path, int], None]] = {
    "lhotse": _lhotse,
    "shar": _shar,
    "webdataset": _webdataset,
}
