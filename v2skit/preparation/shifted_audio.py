"""Audio that preparation has shifted, in archives of its own; the shards keep the audio as recorded.

audio/offset-2f9a0c11d3e4.ark  audio/offset-2f9a0c11d3e4.scp
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from v2skit.data.data_dir import read_table
from v2skit.media.ark import ArkWriter, split_location
from v2skit.media.audio import read_audio
from v2skit.preparation.records import Outcome
from v2skit.signal.delay import delayed
from v2skit.system.atomic import write_text
from v2skit.system.checksum import short_digest
from v2skit.system.progress import ProgressBar

PREFIX = "offset-"


def shift_audio(folder: Path, outcomes: list[Outcome], shifts: Mapping[str, int], sample_rate: int) -> dict[str, Path]:
    """Write the audio of a data directory's shifted utterances, unless that is done.

    Args:
        folder: the data directory.
        outcomes: its utterances.
        shifts: utterance id -> by how many samples its audio is made earlier; others are not shifted.
        sample_rate: of the audio, Hz.

    Returns:
        utterance id -> place of its shifted audio.

    Raises:
        UserError: audio can't be read.
    """
    places = {o.id: o.audio for o in outcomes if o.audio and o.id in shifts}
    if not places:
        return {}
    content = [(o.id, o.audio, o.fingerprint, shifts[o.id]) for o in outcomes if o.id in places]
    name = PREFIX + short_digest(content)
    ark, table = (folder / "audio" / f"{name}.{kind}" for kind in ("ark", "scp"))
    if not table.exists():
        ark.unlink(missing_ok=True)  # incomplete without its table
        writer, lines = ArkWriter(ark), []
        for key, place in ProgressBar(places.items(), f"shifting {folder.name}", unit="clip"):
            waveform = delayed(read_audio(folder / place, sample_rate), -shifts[key])
            lines.append(f"{key} {writer.add_audio(key, waveform, sample_rate).location}\n")
        writer.close()
        write_text(table, "".join(lines))
    return {key: folder / place for key, place in read_table(table).items()}


def delete_others(folder: Path, used: Mapping[str, Path]) -> None:
    """Delete the shifted audio of a data directory that its tables no longer name."""
    kept = {split_location(place)[0].stem for place in used.values()}
    for path in (folder / "audio").glob(f"{PREFIX}*"):
        if path.stem not in kept:
            path.unlink()
