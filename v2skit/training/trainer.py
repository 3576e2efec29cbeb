"""The training loop, for A2A, V2A and vocoders alike. It knows losses, not models."""

from __future__ import annotations

import signal
import time
from collections.abc import Callable, Mapping
from pathlib import Path

import torch
from torch import Tensor

from v2skit.config.load import to_tree
from v2skit.config.parts import PartTransfer
from v2skit.config.schema import Config, Training
from v2skit.data.batch import Batch
from v2skit.data.dataset import SpeechDataset
from v2skit.data.sampler import BatchSampler, EpochBatches, Key
from v2skit.data.targets import Targets
from v2skit.errors import UserError
from v2skit.losses.total import Losses
from v2skit.models import checkpoint
from v2skit.models.finite import not_finite
from v2skit.models.model import Model, Vocoder
from v2skit.registry.build import build
from v2skit.signal.mel import MelSpectrogram
from v2skit.system.process import keep_memory
from v2skit.training.corruption import corruption_of
from v2skit.training.distributed import SLOW, Processes, RollCall, check_shares
from v2skit.training.loader import BatchLoader
from v2skit.training.log import NoLog, RunLog
from v2skit.training.mel_statistics import fit_standards
from v2skit.training.optimiser import Average, Optimiser, check_adamw, load_adamw, precision_of
from v2skit.training.run_hooks import Run, RunHooks
from v2skit.training.samples import Sampler
from v2skit.training.step import TrainingStep, forward


class Interrupted(KeyboardInterrupt):
    """Ctrl-C or a termination signal; a checkpoint of the step that it names has been written."""


class Trainer:
    """Trains one model; resumes exactly from the newest checkpoint in its folder.

    Args:
        run: folder of the run: checkpoints, ``samples/``, and what the loggers write.
        task: ``a2a``, ``v2a`` or ``vocoder``.
        config: of the experiment; stored in every checkpoint.
        settings: of this run.
        model: with its initial weights.
        train_set: in training mode.
        valid_set: not in training mode.
        speakers: names behind a speaker table.
        losses: to be minimised.
        parts: by the names of the model's parts: when they are frozen, and factors of their learning rates.
        device: of the training.
        resume: from the newest checkpoint; nothing is written before :meth:`train`.
        processes: that train together; only the first writes files.
        targets: of the config, fitted.
        predictor: digest of the model that predicts the inputs; empty: there is none.

    Raises:
        UserError: the data do not fit the batches, the processes can't share these evenly, precision or checkpoints
            do not fit this machine, or a logger lacks its package.
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
        parts: Mapping[str, PartTransfer],
        device: torch.device,
        resume: bool = True,
        processes: Processes = Processes(),
        targets: Targets = Targets(),
        predictor: str = "",
    ) -> None:
        check_shares(settings.accumulate, processes.world)
        self.run, self.task, self.config, self.settings = run, task, config, settings
        self.speakers, self.processes, self.targets, self.predictor = speakers, processes, targets, predictor
        chosen = config.loggers if processes.first else {}
        self.loggers = {name: build("logger", choice) for name, choice in chosen.items()}
        self.hooks = RunHooks(Run(run.name, run, task, config, device, processes.rank))
        self.model, self.losses = model.to(device), losses.to(device)
        self.losses.check(model, targets.built)
        corruption = corruption_of(settings.corruption, config.clock, config.mel, model)
        self.corruption = corruption and corruption.to(device)
        self.precision = precision_of(settings, device)
        self.optimiser = Optimiser(model, settings, parts)
        saved = self._resume() if resume else None
        if saved is None:
            fit_standards(losses, train_set, config)
        self.step, position = (saved.meta.step, saved.meta.position) if saved else (0, (0, 0))
        for module in (self.model, self.losses):
            processes.broadcast(module)
        self.average = Average(model, settings.ema_decay)
        if saved and saved.averaged:
            checkpoint.restore(self.average.model, saved.averaged, run)
        share = (settings.accumulate * self.losses.discriminator_steps, processes.rank, processes.world)
        order = BatchSampler(train_set.by_length, settings.batch_frames, config.seed, position, *share)
        clips = valid_set.by_length
        batches = EpochBatches(clips, max(settings.batch_frames, clips.longest), 0, 0)
        ours = range(processes.rank, len(batches), processes.world)
        self.validation_numbers = ours
        keys = [[Key(0, clip, (0, 0)) for clip in batches[number]] for number in ours]
        spectrogram = MelSpectrogram(config.clock, config.mel).to(device)
        on_device = {name: target.to(device).eval() for name, target in targets.on_device.items()}
        self.batches = BatchLoader(train_set, order, settings.workers, device, spectrogram, on_device)
        self.validation = BatchLoader(valid_set, keys, settings.workers, device, spectrogram, on_device)
        self.sampler = Sampler(run / "samples", config, model, targets) if processes.first else None
        self.roll_call = RollCall(processes)

    def train(self, started: Callable[[], object] = lambda: None) -> None:
        """Train to the end.

        Args:
            started: called after the first step of this call, which all processes and loggers have reached.

        Raises:
            UserError: the data are damaged, a process is missing, a total loss or its gradient is not finite, the
                validation has no ``best_checkpoint_metric``, a logger can't start, or a hook of a plug-in fails.
            Interrupted: after a signal, once a checkpoint has been written.
        """
        keep_memory()
        log = self._new_log()
        old = {s: signal.signal(s, self._on_signal) for s in (signal.SIGINT, signal.SIGTERM)}
        loaders, status = (self.batches, self.validation), "failed"
        try:
            self.hooks.call("training_started")
            self._check_metric()
            self.processes.gather(None, "at the start", SLOW)
            self._loop(log, started)
            status = "finished"
        except Interrupted:
            status = "interrupted"
            raise
        except (RuntimeError, OSError, EOFError) as error:
            for loader in loaders:
                loader.check_workers(error)
            raise
        finally:
            log.close(status)
            for loader in loaders:
                loader.close()
            for number, handler in old.items():
                signal.signal(number, handler)
            self.hooks.ended(status)

    def _new_log(self) -> RunLog | NoLog:
        if not self.processes.first:
            return NoLog()
        files = [{"name": file.name, "digest": file.digest} for file in self.config.plugins]
        tree = {**to_tree(self.config), "plugins": files}  # their source is not for servers
        return RunLog(self.run, self.run.name, self.step, self.settings.steps, self.loggers, tree)

    def _loop(self, log: RunLog | NoLog, started: Callable[[], object]) -> None:
        settings, roll_call, begin = self.settings, self.roll_call, self.step
        training_step = TrainingStep(
            self.model, self.losses, self.optimiser, self.average, iter(self.batches), self.precision,
            self.config.seed, roll_call, self.corruption, self.hooks.process_batch,
        )  # fmt: skip
        while self.step < settings.steps:
            last = self.step + 1 == settings.steps
            logged = last or (self.step + 1) % settings.log_every == 0
            values = training_step.run(self.step, logged)
            roll_call.timeout_factor = 1
            self.step += 1
            if self.step == begin + 1:
                started()
            log.step(self.batches.waiting_seconds())
            if logged:
                log.write(self.step, "train", values)
            validate = last or self.step % settings.validate_every == 0
            save = validate or roll_call.stop or self.step % settings.checkpoint_every == 0
            if save:
                training_step.check_finite(f"after step {self.step}")
            valid = self._validate(log) if validate else None
            if save:
                self._save(training_step.position, valid)
            self.hooks.call("step_finished", step=self.step, values=values)  # after the checkpoint: one may fail
            if valid is not None:
                self.hooks.call("validated", step=self.step, values=valid)
            if roll_call.stop and not last:
                roll_call.gather(None, "after a checkpoint")  # no process ends before it is written
                raise Interrupted(
                    f"interrupted after step {self.step}; the same command, without --force, resumes from there"
                )
        roll_call.gather(None, "after the last checkpoint")

    def _check_metric(self) -> None:
        """Raises UserError where the validation has no loss of the name that is to select the best checkpoint, before
        hours of training."""
        metric = self.settings.best_checkpoint_metric
        batch = next(iter(self.validation), None) if metric else None  # None: another process has all of them
        if batch is not None and metric not in (values := self._validation_losses(0, batch)):
            raise UserError(
                f"best_checkpoint_metric: the validation has no loss '{metric}'; it has {', '.join(values)}",
                key="best_checkpoint_metric",
            )

    @torch.no_grad()
    def _validation_losses(self, number: int, batch: Batch) -> dict[str, Tensor]:
        """Losses () of the averaged weights on a batch of validation clips, by name."""
        # Of a decoder's own losses: the same at each validation, for any number of processes.
        torch.manual_seed(self.config.seed + number)
        total, values = self.losses(forward(self.average.model, batch, self.precision), batch, validate=True)
        return {"total": total, **values}

    @torch.no_grad()
    def _validate(self, log: RunLog | NoLog) -> dict[str, float]:
        """Losses of the averaged weights on whole validation clips, shared by the processes, means weighted by valid
        frames; one clip is synthesised."""
        self.roll_call.timeout_factor = SLOW  # one process may have a batch more than another, and one writes
        start = time.perf_counter()
        sums: dict[str, float] = {}
        frames = 0
        for number, batch in zip(self.validation_numbers, self.validation, strict=True):
            count = int(batch.mask.sum())
            frames += count
            for name, value in self._validation_losses(number, batch).items():
                sums[name] = sums.get(name, 0.0) + float(value) * count
            if number == 0 and self.sampler:
                log.sample(self.step, self.sampler.write(self.average.model, batch, self.step))
        reports = self.roll_call.gather({"frames": frames, "sums": sums}, "in validation")
        frames = sum(report["frames"] for report in reports)
        valid = {name: sum(r["sums"].get(name, 0.0) for r in reports) / frames for name in reports[0]["sums"]}
        log.write(self.step, "valid", valid)
        log.say(f"step {self.step}: " + ", ".join(f"valid {k} {v:.4f}" for k, v in valid.items()))
        log.pause(time.perf_counter() - start)
        return valid

    def _save(self, position: tuple[int, int], valid: dict[str, float] | None) -> None:
        self.roll_call.timeout_factor = SLOW
        if not self.processes.first:
            return
        meta = checkpoint.new_meta(
            self.config, self.task, self.speakers, step=self.step, position=position, valid=valid,
            best_metric=self.settings.best_checkpoint_metric or "total", targets=dict(self.targets.states),
            predictor=self.predictor,
        )  # fmt: skip
        state = {"model": self.optimiser.adamw.state_dict(), "losses": self.losses.state()}
        saved = checkpoint.Checkpoint(meta, self.model.state_dict(), self.average.state, state)
        checkpoint.save(saved, checkpoint.folder_of(self.run, self.step))
        checkpoint.prune(self.run)

    def _resume(self) -> checkpoint.Checkpoint | None:
        """The newest checkpoint, if there is one, loaded into model, losses and optimiser."""
        newest = checkpoint.latest(self.run)
        if newest is None:
            return None
        saved = checkpoint.load(newest, optimiser=True)
        checkpoint.restore(self.model, saved.weights, newest)
        if not isinstance(saved.optimiser, dict) or saved.averaged is None:
            raise UserError(f"{newest} is no checkpoint to resume from: its optimiser's state is missing; delete it")
        try:
            load_adamw(self.optimiser.adamw, saved.optimiser["model"])
            self.losses.load_state(saved.optimiser["losses"])
            for term in self.losses.discriminator_terms.values():
                if isinstance(optimiser := getattr(term, "optimiser", None), torch.optim.AdamW):
                    check_adamw(optimiser)
            if bad := not_finite(self.losses):
                raise ValueError(f"weights of losses that are not finite, e.g. {bad[0]}")
        except UserError as error:
            fields = {**error.fields, "path": newest}
            raise UserError(f"{newest} is no checkpoint to resume from: {error}", **fields) from error
        except (LookupError, TypeError, ValueError, AttributeError, RuntimeError) as error:
            raise UserError(
                f"{newest} is no checkpoint to resume from: its optimiser's state does not fit ({error}); finish "
                "the run with the version that started it, or train again with --force",
                path=newest,
            ) from error
        return saved

    def _on_signal(self, number: int, frame: object) -> None:
        self.roll_call.signalled = True
