"""The one training loop, for A2A, V2A and vocoders alike. It knows losses, not models."""

from __future__ import annotations

import copy
import re
import signal
import time
from collections.abc import Iterable, Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch.utils.data import DataLoader

from v2skit.config.schema import Config, PartTransfer, Training
from v2skit.data.batch import Batch
from v2skit.data.dataset import SpeechDataset, collate
from v2skit.data.sampler import BatchSampler, EpochBatches, Key
from v2skit.errors import UserError
from v2skit.losses.total import Losses
from v2skit.models import checkpoint
from v2skit.models.model import Model, Output, Vocoder
from v2skit.signal.mel import MelSpectrogram
from v2skit.system.process import keep_memory
from v2skit.training.distributed import PATIENCE, Processes, check_shares
from v2skit.training.log import NoLog, RunLog
from v2skit.training.optimiser import Average, Optimiser, precision_of
from v2skit.training.samples import Sampler
from v2skit.training.step import Stepper


class Interrupted(KeyboardInterrupt):
    """Ctrl-C or a termination signal; everything up to the step it names is saved."""


class Trainer:
    """Trains one model; goes on from the newest checkpoint in its folder, exactly.

    Args:
        run: folder of the run: checkpoints, ``log.jsonl``, ``tensorboard/``, ``samples/``.
        task: ``a2a``, ``v2a`` or ``vocoder``.
        config: of the experiment; stored in every checkpoint.
        settings: of this run.
        model: with its initial weights.
        train_set: in training mode.
        valid_set: not in training mode.
        speakers: names behind a speaker table.
        losses: what is minimised.
        parts: frozen steps and learning-rate factors of transferred parts.
        device: where to train.
        resume: go on from the newest checkpoint; nothing is written before :meth:`train`.
        processes: that train together; the first alone writes.

    Raises:
        UserError: the data do not fit the batches, the processes can't share these evenly, or precision or checkpoints
            do not fit this machine.
    """

    def __init__(
        self,
        run: Path,
        task: str,
        config: Config,
        settings: Training,
        model: Model | Vocoder,
        train_set: SpeechDataset,
        valid_set: SpeechDataset,
        speakers: list[str],
        losses: Losses,
        parts: dict[str, PartTransfer],
        device: torch.device,
        resume: bool = True,
        processes: Processes = Processes(),
    ) -> None:
        check_shares(settings.accumulate, processes.world)
        self.processes = processes
        self.run, self.task, self.config, self.settings = run, task, config, settings
        self.speakers, self.device = speakers, device
        self.model = model.to(device)
        self.losses = losses.to(device)
        for name, term in self.losses.terms.items():
            if getattr(term, "input", model.output) != model.output:
                raise UserError(
                    f"loss '{name}' is for models that give {term.input}, this one gives {model.output}; "
                    f"leave it out with losses.{name}: null"
                )
        self.spectrogram = MelSpectrogram(config.clock, config.mel).to(device)
        self.precision = precision_of(settings, device)
        self.optimiser = Optimiser(model, settings, parts)
        self.step, self.position = 0, (0, 0)
        state = self._resume() if resume else None
        for module in (self.model, self.losses):
            processes.copy_first(module)
        self.average = Average(model, settings.ema_decay)
        if state is not None:
            self.average.state.update(state)
        self.averaged = copy.deepcopy(model).eval()
        group = settings.accumulate * self.losses.learn_steps
        share = (group, processes.rank, processes.world)
        order = BatchSampler(train_set.by_length, settings.batch_frames, config.seed, self.position, *share)
        self.batches = self._loader(train_set, order)
        clips = valid_set.by_length
        batches = EpochBatches(clips, max(settings.batch_frames, clips.longest), 0, 0)
        ours = range(processes.rank, len(batches), processes.world)
        self.validation = self._loader(valid_set, [[Key(0, i, (0, 0)) for i in batches[number]] for number in ours])
        self.sampler = Sampler(run / "samples", config, model.output) if processes.first else None
        see = partial(self._output, self.model)
        self.stepper = Stepper(self.model, self.losses, self.optimiser, see, config.seed, processes)
        self._signalled, self._stop, self._waited = False, False, 0.0
        self._patience = PATIENCE  # not all start up in the same time

    def train(self) -> None:
        """Train to the end.

        Raises:
            Interrupted: after a signal, when what was done is saved.
        """
        keep_memory()
        old = {s: signal.signal(s, self._on_signal) for s in (signal.SIGINT, signal.SIGTERM)}
        log: RunLog | NoLog = (
            RunLog(self.run, self.run.name, self.step, self.settings.steps) if self.processes.first else NoLog()
        )
        try:
            self._steps(log)
        finally:
            log.close()
            for loader in (self.batches, self.validation):
                workers: Any = loader._iterator
                if workers is not None:  # an error's traceback may hold it, and its workers, to the end
                    workers._shutdown_workers()
            for number, handler in old.items():
                signal.signal(number, handler)

    def _steps(self, log: RunLog | NoLog) -> None:
        settings = self.settings
        batches = iter(self.batches)
        while self.step < settings.steps:
            last, self._waited = self.step + 1 == settings.steps, 0.0
            tell = (self.step + 1) % settings.log_every == 0 or last
            values = self.stepper.take(self.step, lambda: self._next_train(batches), self._meet, tell)
            self._patience = 1
            self.step += 1
            self.average.update(self.model, self.step)
            log.step(self._waited)
            if tell:
                log.write(self.step, "train", values)
            valid = None
            if self.step % settings.validate_every == 0 or last:
                start = time.perf_counter()
                valid = self._validate()
                log.write(self.step, "valid", valid)
                log.say(f"step {self.step}: " + ", ".join(f"valid {k} {v:.4f}" for k, v in valid.items()))
                log.pause(time.perf_counter() - start)
            if valid or self.step % settings.checkpoint_every == 0 or self._stop:
                self._save(valid)
            if self._stop and not last:
                self._meet(None, "after a checkpoint")  # nobody leaves before it is written
                raise Interrupted(f"interrupted after step {self.step}; the same command goes on from there")
        self._meet(None, "after the last checkpoint")

    def _meet(self, told: Any, when: str) -> list[Any]:
        """:meth:`Processes.gather`; all learn as well whether one of them was told to stop."""
        reports = self.processes.gather([self._signalled, told], when, self._patience)
        self._stop = any(signalled for signalled, _ in reports)
        return [told for _, told in reports]

    def _next_train(self, batches: Iterator[Batch]) -> Batch:
        """The next training batch of this process, on the device."""
        start = time.perf_counter()
        batch = self._next(batches)
        self._waited += time.perf_counter() - start
        self.position = batch.position
        return self._ready(batch)

    def _next(self, batches: Iterator[Batch]) -> Batch:
        """The next batch. Raises UserError for what is wrong with the data, whichever process found it."""
        try:
            return next(batches)
        except UserError as error:  # a worker's comes wrapped in its traceback
            raise UserError(re.split(r"UserError: ", str(error))[-1].strip()) from None
        except RuntimeError as error:
            if "DataLoader worker" not in str(error):
                raise
            raise UserError(f"{error}; for want of memory perhaps: lower workers or cache_mb, then go on") from error

    def _ready(self, batch: Batch) -> Batch:
        """The batch on the device, with its mel."""
        batch = batch.to(self.device)
        return replace(batch, mel=self.spectrogram(batch.waveform))

    def _output(self, model: Model | Vocoder, batch: Batch) -> Output:
        with torch.autocast(self.device.type, self.precision, enabled=self.precision is not None):
            return model(batch.inputs(model.input))

    @torch.no_grad()
    def _validate(self) -> dict[str, float]:
        """Losses of the averaged weights on whole validation clips, shared by the processes, weighted by their valid
        frames; one clip is synthesised."""
        self._patience = PATIENCE  # one process may have a batch more than another, and one writes
        self.averaged.load_state_dict(self.average.state)
        sums: dict[str, float] = {}
        frames = 0
        validation = iter(self.validation)
        for number in range(len(self.validation)):
            batch = self._ready(self._next(validation))
            total, values = self.losses(self._output(self.averaged, batch), batch, validate=True)
            count = int(batch.mask.sum())
            frames += count
            for name, value in {"total": total, **values}.items():
                sums[name] = sums.get(name, 0.0) + float(value) * count
            if number == 0 and self.sampler:
                self.sampler.write(self.averaged, batch, self.step)
        reports = self._meet({"frames": frames, "sums": sums}, "in validation")
        frames = sum(report["frames"] for report in reports)
        return {name: sum(r["sums"].get(name, 0.0) for r in reports) / frames for name in reports[0]["sums"]}

    def _save(self, valid: dict[str, float] | None) -> None:
        self._patience = PATIENCE
        if not self.processes.first:
            return
        meta = checkpoint.new_meta(
            self.config, self.task, self.speakers, step=self.step, position=self.position, valid=valid
        )
        state = {"model": self.optimiser.state_dict(), "losses": self.losses.state()}
        saved = checkpoint.Checkpoint(meta, self.model.state_dict(), self.average.state, state)
        checkpoint.save(saved, checkpoint.folder_of(self.run, self.step))
        checkpoint.prune(self.run)

    def _resume(self) -> dict | None:
        """Load the newest checkpoint, if there is one. Returns the averaged weights."""
        newest = checkpoint.latest(self.run)
        if newest is None:
            return None
        saved = checkpoint.load(newest, optimiser=True)
        checkpoint.restore(self.model, saved.weights, newest)
        if saved.optimiser is None or saved.averaged is None:
            raise UserError(f"{newest} is no checkpoint to resume from: its optimiser's state is missing; delete it")
        self.optimiser.load_state_dict(saved.optimiser["model"])
        self.losses.load_state(saved.optimiser["losses"])
        self.step, self.position = saved.meta.step, saved.meta.position
        return {k: v.to(self.device) for k, v in saved.averaged.items()}

    def _loader(self, data: SpeechDataset, batches: Iterable[list[Key]]) -> DataLoader:
        workers = self.settings.workers
        return DataLoader(
            data,
            batch_sampler=batches,
            collate_fn=collate,
            num_workers=workers,
            # Python 3.14's default, a fork server, is a worker's parent: the worker would outlive a killed run.
            multiprocessing_context="fork" if workers else None,
            worker_init_fn=_start_worker,
            persistent_workers=workers > 0,
            pin_memory=self.device.type == "cuda",
            prefetch_factor=4 if workers else None,
        )

    def _on_signal(self, number: int, frame: object) -> None:
        self._signalled = True


def _start_worker(number: int) -> None:
    """Workers leave signals to the loop, which saves and ends them, and its cores to the network."""
    for ignored in (signal.SIGINT, signal.SIGTERM):
        signal.signal(ignored, signal.SIG_IGN)
    torch.set_num_threads(1)
