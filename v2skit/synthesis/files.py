"""``v2skit synth VIDEO...``: speech for video files, one after the other."""

from __future__ import annotations

import errno
from functools import partial
from importlib import import_module
from pathlib import Path

import numpy as np

from v2skit.errors import UserError, reason_of
from v2skit.media.mux import mux
from v2skit.media.synthesised import MARK, is_synthesised, write_speech
from v2skit.synthesis.lip_reading import has_times, reading_heads
from v2skit.synthesis.paths import Extras, check_replaceable
from v2skit.synthesis.synthesiser import Synthesiser
from v2skit.synthesis.video import SpeechPieces
from v2skit.system.atomic import atomic_write, write_text
from v2skit.system.extras import needs
from v2skit.system.progress import ProgressBar
from v2skit.text.timed import Timed, ctm, textgrid
from v2skit.tracking.crop import Track
from v2skit.tracking.follow import FacesError
from v2skit.tracking.tracker import Tracker


def synthesise_files(
    model: Synthesiser,
    targets: dict[Path, Path],
    tracker: Tracker,
    voice: str | None,
    extras: Extras,
    facts: dict[str, str],
) -> None:
    """Synthesise speech for video files, with a progress bar. After an error the other videos are still processed.

    Args:
        model: a loaded one.
        targets: video -> sound file.
        tracker: of the mouth.
        voice: as in :meth:`Synthesiser.synthesise`.
        extras: further files to write.
        facts: name -> value, for the report.

    Raises:
        UserError: some videos could not be processed, each with its reason.
    """
    if extras.report:
        with needs("evaluate", "--report"):
            import_module("v2skit.evaluation.video_report")
    if extras.reads and not model.reading_heads:
        option = "--text" if extras.text else "--align"
        raise UserError(f"{option}: this model has no head that reads lips; train one as conf/text.yaml does")
    timed = [name for name, head in reading_heads(model.model).items() if has_times(head)]
    if extras.align and not timed:
        raise UserError("--align: no head of this model gives the times of words; train one of type ctc")
    failed = []
    for number, (video, target) in enumerate(targets.items(), 1):
        label = video.name if len(targets) == 1 else f"{number}/{len(targets)} {video.name}"
        with ProgressBar(desc=label, unit="frame", leave=False, disable=None) as bar:
            try:
                if not extras.force and extras.exist(video, target):
                    print(f"{target}: another process has written it, skipped")
                    continue
                check_replaceable(target, force=True)
                paths, progress = extras.paths(video, target), partial(_show, bar, model.fps)
                speech = model.synthesise_pieces(video, None, voice, tracker, progress, extras.reads)
                samples = write_speech(target, speech, model.sample_rate)
                _write_extras(paths, video, target, speech, facts, samples / model.sample_rate)
            except FacesError as error:
                picture = target.with_name(f"{target.stem}.faces.png")
                failed.append(f"{video}: {error}{write_picture(picture, error.picture)}")
                continue
            except (Exception, SystemExit) as error:  # also of a plug-in: the other videos are processed
                if isinstance(error, OSError) and error.errno == errno.ENOSPC:
                    raise
                names_video = isinstance(error, UserError) and error.fields.get("path") == video
                failed.append(str(error) if names_video else f"{video}: {reason_of(error)}")
                continue
        print(f"{target}: {samples / model.sample_rate:.2f} s{_missing_face(speech.track)}")
        for kind, path in paths.items():
            print(f"  {kind}: {path}")
        for head, reading in speech.readings.items() if extras.text else ():
            print(f"  {head}: {reading.text}")
    if failed:
        raise UserError(f"{len(failed)} of {len(targets)} videos could not be processed:\n  " + "\n  ".join(failed))


def _show(bar: ProgressBar, fps: int, done: float, total: float | None) -> None:
    if total is not None:
        bar.total = max(round(total * fps), round(done * fps))
    bar.update(round(done * fps) - bar.n)


def _missing_face(track: Track) -> str:
    if not track.lost.any():
        return ""
    silent = f", silent for {track.silent.sum() / track.fps:.1f} s" if track.silent.any() else ""
    return f"; no face in {track.lost.mean():.0%} of the frames{silent}"


def _write_extras(
    paths: dict[str, Path], video: Path, target: Path, speech: SpeechPieces, facts: dict[str, str], seconds: float
) -> None:
    if "video" in paths:
        mux(video, target, paths["video"], comment=MARK)
    if "report" in paths:
        from v2skit.evaluation.video_report import write_report

        write_report(paths["report"], paths["video"], target, speech.track, speech.crops, facts)
    timed = {head: reading for head, reading in speech.readings.items() if reading.words or not reading.text}
    if "textgrid" in paths:
        tiers: dict[str, tuple[Timed, ...]] = {}
        for head, reading in timed.items():
            of = "" if len(timed) == 1 else f" of {head}"
            tiers |= {f"words{of}": reading.words, f"tokens{of}": reading.tokens}
        write_text(paths["textgrid"], textgrid(tiers, seconds, MARK))
    if "ctm" in paths:
        write_text(paths["ctm"], ctm(next(iter(timed.values())).words, target.stem, MARK))


def write_picture(path: Path, picture: np.ndarray) -> str:
    """Write a PNG of RGB uint8 (H,W,3), unless that overwrites a file of others. Returns the end of the message."""
    from PIL import Image, PngImagePlugin

    if path.exists() and not is_synthesised(path):
        return ""
    text = PngImagePlugin.PngInfo()
    text.add_text("Comment", MARK)
    with atomic_write(path) as part:
        Image.fromarray(picture).save(part, format="png", pnginfo=text)
    return f"; {path} shows them"
