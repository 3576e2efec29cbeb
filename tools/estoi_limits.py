"""What limits ESTOI on a corpus: the pauses that pystoi keeps, and mels put together from ground truth and prediction.

    tools/venv/bin/python tools/estoi_limits.py egs/grid/data_cpu/available/valid \
        egs/grid/exp/cpu_recognition/finetune --talkers s1

The first table has the share of frames within 40 dB of the loudest one, which pystoi keeps, with and without a
high-pass at 120 Hz, and the ESTOI of the ground truth itself some ms late. The second one has the ESTOI of mels made
into waveforms by Griffin-Lim, with a column for each model, whose mels are predicted, or folder of <utterance>.wav,
whose mels are computed. A frame of speech is one at most 40 dB below the loudest frame of the high-passed ground truth.
"""

from __future__ import annotations

import argparse
import sys
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from pystoi.utils import remove_silent_frames
from scipy.signal import butter, sosfiltfilt
from torch import Tensor, nn

from v2skit.cli.failures import status_of
from v2skit.config.features import Mel
from v2skit.data.augment import centre_crop, normalise
from v2skit.data.batch import Inputs
from v2skit.data.data_dir import Utterance, read_clock, read_manifest
from v2skit.evaluation.alignment import find_lag
from v2skit.evaluation.metrics import resample
from v2skit.evaluation.stoi import Estoi
from v2skit.media.audio import read_audio
from v2skit.media.crops import read_crops
from v2skit.models.vocoders.griffin_lim import GriffinLim
from v2skit.signal.delay import delayed
from v2skit.signal.mel import MelSpectrogram
from v2skit.synthesis.directory import check_prepared
from v2skit.synthesis.synthesiser import Synthesiser, load_model

HIGH_PASS_HZ, RANGE_DB = 120.0, 40.0
STOI_RATE, STOI_FRAME, STOI_HOP = 10_000, 256, 128
DELAYS_MS = 2, 5, 10, 14, 20, 30
LOW_BINS, SMOOTHED_BINS, SMOOTHED_FRAMES = 16, 9, (3, 5, 9)


@dataclass(frozen=True)
class Clip:
    """Log mels of one clip (1,F,M), and what is known of its ground truth.

    Args:
        truth: of the ground truth.
        predicted: of the model or the synthesised speech.
        level: of the frames of truth and prediction, in units of the log mel (F,) each.
        speech: frames of speech (F,).
    """

    truth: Tensor
    predicted: Tensor
    level: tuple[Tensor, Tensor]
    speech: Tensor


def high_passed(waveform: np.ndarray, rate: int) -> np.ndarray:
    """Without what is below :data:`HIGH_PASS_HZ`, float32 (N,): Butterworth, order 4, forwards and backwards."""
    return sosfiltfilt(butter(4, HIGH_PASS_HZ, "high", fs=rate, output="sos"), waveform).astype(np.float32)


def kept_share(waveform: np.ndarray, rate: int) -> float:
    """Share of the samples of a reference that pystoi keeps."""
    reference = resample(waveform, rate, STOI_RATE)
    kept, _ = remove_silent_frames(reference, reference, RANGE_DB, STOI_FRAME, STOI_HOP)
    return len(kept) / len(reference)


def smoothed(mel: Tensor, frames: int = 1, bins: int = 1) -> Tensor:
    """Log mel (1,F,M) -> its mean over odd numbers of neighbouring frames and bins, the edges repeated."""
    return F.avg_pool2d(F.pad(mel, (bins // 2, bins // 2, frames // 2, frames // 2), "replicate"), (frames, bins), 1)


def smoothed_truth(frames: int = 1, bins: int = 1) -> Callable[[Clip], Tensor]:
    """A row of :data:`MIXED`: the ground truth, as :func:`smoothed` makes it."""
    return lambda clip: smoothed(clip.truth, frames, bins)


def warped(predicted: Tensor, truth: Tensor) -> Tensor:
    """Dynamic time warping (Sakoe and Chiba 1978): for each frame of the ground truth, the mean of the predicted frames
    that the path of the smallest sum of Euclidean distances aligns with it; (1,F,M) each."""
    distance = torch.cdist(truth[0], predicted[0]).double().numpy()
    total = np.full((len(distance) + 1, len(distance) + 1), np.inf)
    total[0, 0] = 0
    for i, row in enumerate(distance, 1):
        for j, value in enumerate(row, 1):
            total[i, j] = value + min(total[i - 1, j - 1], total[i - 1, j], total[i, j - 1])
    i = j = len(distance)
    aligned = torch.zeros(len(distance), len(distance))
    while i:
        aligned[i - 1, j - 1] = 1
        i, j = min(((i - 1, j - 1), (i - 1, j), (i, j - 1)), key=lambda place: total[place])
    return (aligned / aligned.sum(1, keepdim=True) @ predicted[0])[None]


MIXED: dict[str, Callable[[Clip], Tensor]] = {
    "predicted": lambda clip: clip.predicted,
    "predicted, with the level of the ground truth in each frame": lambda clip: (
        clip.predicted + (clip.level[0] - clip.level[1])[:, None]
    ),
    "predicted, warped in time to the ground truth (DTW)": lambda clip: warped(clip.predicted, clip.truth),
    f"predicted envelope (mean of {SMOOTHED_BINS} bins), fine structure of the ground truth": lambda clip: (
        smoothed(clip.predicted - clip.truth, bins=SMOOTHED_BINS) + clip.truth
    ),
    f"ground truth below bin {LOW_BINS}, predicted above": lambda clip: torch.cat(
        [clip.truth[..., :LOW_BINS], clip.predicted[..., LOW_BINS:]], dim=-1
    ),
    "ground truth in frames of speech, predicted elsewhere": lambda clip: clip.truth.where(
        clip.speech[:, None], clip.predicted
    ),
    "predicted in frames of speech, ground truth elsewhere": lambda clip: clip.predicted.where(
        clip.speech[:, None], clip.truth
    ),
    **{f"ground truth, smoothed over {n} frames": smoothed_truth(frames=n) for n in SMOOTHED_FRAMES},
    f"ground truth, smoothed over {SMOOTHED_BINS} bins": smoothed_truth(bins=SMOOTHED_BINS),
    "copy synthesis": lambda clip: clip.truth,
}
"""Row of the table -> its log mel (1,F,M)."""


class Source:
    """Where the mels of a column come from.

    Args:
        path: of a V2A run, checkpoint or pack, or a folder of speech.
        directory: data directory of the clips.
        utterances: of the directory, that are to be predicted.
        own_vocoder: the waveforms are made by the model's vocoder instead of Griffin-Lim.
    """

    def __init__(self, path: Path, directory: Path, utterances: list[Utterance], own_vocoder: bool = False) -> None:
        self.path, self.model = path, None
        self.clock, self.mel = read_clock(directory), Mel()
        if not (path / f"{utterances[0].id}.wav").is_file():
            config, self.model, _, _ = load_model(path, "v2a")
            check_prepared(config, directory, with_video=True)
            if self.model.output != "mel" or self.model.inputs != ("video",):
                raise SystemExit(f"{path} does not predict a mel from video; give a folder of the speech that it makes")
            self.clock, self.mel, self.crop = config.clock, config.mel, config.augmentation.crop
            self.reader = self.model.speaker.reader(directory)
        self.spectrogram = MelSpectrogram(self.clock, self.mel)
        self.vocoder: nn.Module = GriffinLim(self.clock, self.mel)
        if own_vocoder:
            own = Synthesiser.load(path, torch.device("cpu")).vocoder if self.model else None
            if own is None:
                raise SystemExit(f"{path} has no vocoder; leave --own_vocoder out, or give a packed model")
            self.vocoder = own

    def predicted(self, utterance: Utterance, samples: int) -> Tensor:
        """The log mel of an utterance (1,F,M)."""
        if self.model is None:
            speech = read_audio(self.path / f"{utterance.id}.wav", self.clock.sample_rate, 0, samples)
            return self.spectrogram(torch.from_numpy(speech)[None])
        assert utterance.video is not None, "chosen for it"
        video = torch.from_numpy(normalise(centre_crop(read_crops(utterance.video), self.crop)))[None]
        speaker = torch.from_numpy(self.reader(utterance.id, utterance.speaker))[None]
        mask = torch.ones(1, utterance.frames, dtype=torch.bool)
        return self.model(Inputs({"video": video}, mask, speaker)).stream("mel")


def level_of(mel: Tensor, spectrogram: MelSpectrogram) -> Tensor:
    """Log mel (1,F,M) -> level of each frame, in units of the log mel (F,)."""
    return spectrogram.log(torch.linalg.vector_norm(spectrogram.magnitude(mel[0]), dim=-1))


def speech_frames(waveform: np.ndarray, spectrogram: MelSpectrogram, rate: int) -> Tensor:
    """Whether each frame of a ground truth is one of speech (F,)."""
    level = level_of(spectrogram(torch.from_numpy(high_passed(waveform, rate))[None]), spectrogram)
    return level > level.max() + spectrogram.log(torch.tensor(10 ** (-RANGE_DB / 20)))


@torch.inference_mode()
def estoi_of(source: Source, utterances: list[Utterance]) -> dict[str, float]:
    """Row of the table -> mean ESTOI over the utterances."""
    found: dict[str, list[float]] = defaultdict(list)
    spectrogram, vocoder, estoi = source.spectrogram, source.vocoder, Estoi()
    rate = source.clock.sample_rate

    def add(row: str, reference: np.ndarray, hypothesis: np.ndarray) -> None:
        found[row] += estoi(reference, hypothesis, rate).values()

    for utterance in utterances:
        truth = reference_of(utterance, rate)
        mel, speech = spectrogram(torch.from_numpy(truth)[None]), speech_frames(truth, spectrogram, rate)
        predicted = source.predicted(utterance, len(truth))
        levels = level_of(mel, spectrogram), level_of(predicted, spectrogram)
        clip = Clip(mel, predicted, levels, speech)
        for row, mixed in MIXED.items():
            hypothesis = vocoder(mixed(clip))[0].numpy()
            add(row, truth, hypothesis)
            if row == "predicted":
                late = delayed(truth, find_lag(truth, hypothesis, rate))
                add("ground truth, with the lag of the prediction", truth, late)
                late_mel = spectrogram(torch.from_numpy(late)[None])
                mel_of_both = late_mel.where(speech_frames(late, spectrogram, rate)[:, None], predicted)
                add(
                    "ground truth in frames of speech, with the lag of the prediction, predicted elsewhere",
                    truth,
                    vocoder(mel_of_both)[0].numpy(),
                )
                both = (high_passed(waveform, rate) for waveform in (truth, hypothesis))
                add(f"predicted, both signals high-passed at {HIGH_PASS_HZ:g} Hz", *both)
    return {row: float(np.mean(values)) for row, values in found.items()}


def late_truth(truth: np.ndarray, rate: int, milliseconds: int) -> float:
    """ESTOI of the ground truth (N,) that is so late."""
    (value,) = Estoi()(truth, delayed(truth, milliseconds * rate // 1000), rate).values()
    return value


def reference_of(utterance: Utterance, rate: int) -> np.ndarray:
    """The ground truth, float32 (N,), which has whole video frames."""
    assert utterance.audio is not None, "chosen for it"
    return read_audio(utterance.audio, rate)


def evenly(utterances: list[Utterance], count: int) -> list[Utterance]:
    """At most so many of them, at equal distances."""
    return [utterances[k * len(utterances) // count] for k in range(count)] if count < len(utterances) else utterances


def print_table(header: list[str], rows: dict[str, list[str]]) -> None:
    """Print a Markdown table; each row has a label."""
    for cells in (header, ["---"] * len(header), *([label, *values] for label, values in rows.items())):
        print(f"| {' | '.join(cells)} |")


def main() -> None:
    """Print both tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data_dir", type=Path, help="data directory with the ground truth")
    parser.add_argument("sources", type=Path, nargs="*", help="V2A runs, checkpoints, packs; folders of speech")
    parser.add_argument("--clips", type=int, default=8, help="of each talker, evenly chosen")
    parser.add_argument("--talkers", nargs="+", help="only these; default: all")
    parser.add_argument("--own_vocoder", action="store_true", help="that of the model instead of Griffin-Lim")
    options = parser.parse_args()
    if options.clips < 1:
        parser.error("--clips: give a number from 1")
    torch.set_num_threads(1)
    talkers: dict[str, list[Utterance]] = defaultdict(list)
    for utterance in read_manifest(options.data_dir):
        if utterance.audio and utterance.video and utterance.speaker in (options.talkers or [utterance.speaker]):
            talkers[utterance.speaker].append(utterance)
    if not talkers:
        raise SystemExit(f"{options.data_dir} has no clips with audio and video of these talkers; see its utt2spk")
    chosen = {name: evenly(utterances, options.clips) for name, utterances in talkers.items()}
    rate = read_clock(options.data_dir).sample_rate
    truths = {name: [reference_of(utterance, rate) for utterance in chosen[name]] for name in chosen}

    def row(share: Callable[[np.ndarray], float]) -> list[str]:
        return [f"{np.mean([share(truth) for truth in of_talker]):.2f}" for of_talker in truths.values()]

    shares = {
        "clips": [str(len(of_talker)) for of_talker in truths.values()],
        "kept": row(lambda truth: kept_share(truth, rate)),
        f"without what is below {HIGH_PASS_HZ:g} Hz": row(lambda truth: kept_share(high_passed(truth, rate), rate)),
        **{f"ESTOI, {ms} ms late": row(lambda truth, ms=ms: late_truth(truth, rate, ms)) for ms in DELAYS_MS},
    }
    print_table(["talker", *truths], shares)
    if not options.sources:
        return
    utterances = [utterance for of_talker in chosen.values() for utterance in of_talker]
    sources = [Source(path, options.data_dir, utterances, options.own_vocoder) for path in options.sources]
    columns = [estoi_of(source, utterances) for source in sources]
    print()
    rows = {row: [f"{column[row]:.3f}" for column in columns] for row in columns[0]}
    print_table(["mel", *(f"ESTOI, {path}" for path in options.sources)], rows)


if __name__ == "__main__":
    sys.exit(status_of(main, "estoi_limits"))
