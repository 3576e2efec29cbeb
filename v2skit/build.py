"""Checked settings -> built objects: children first, each asked for its dimensions."""

from __future__ import annotations

from typing import Any, TypeVar

import torch
from torch import Tensor, nn

from v2skit import plugins
from v2skit.errors import UserError
from v2skit.layers.dual_norm import with_dual_norm
from v2skit.model import Batch, Model, Output, Vocoder
from v2skit.registry import construct
from v2skit.settings import Component, Config

Module = TypeVar("Module", bound=nn.Module)

FRONTENDS = {"a2a": "audio_frontend", "v2a": "visual_frontend"}
"""A2A is pre-training, V2A is video-to-speech; they differ in the frontend alone. A third task is ``vocoder``."""


def build(kind: str, choice: Component, **given: Any) -> Any:
    """The component that a config chose. Raises UserError, naming it, where its arguments do not go together."""
    component = plugins.registry().entry(kind, choice.type).load()
    try:
        args = {name: _built(value, given) for name, value in choice.args.items()}
        return construct(kind, component, args, **given)
    except UserError as error:
        raise UserError(f"{kind} '{choice.type}': {error}") from error


def _built(value: Any, given: dict[str, Any]) -> Any:
    """Components among a component's arguments, or in a dict among them, are built first."""
    if isinstance(value, Component):
        return build(value.kind, value, **given)
    return {k: _built(v, given) for k, v in value.items()} if isinstance(value, dict) else value


def build_model(config: Config, task: str, speakers: list[str]) -> Model:
    """A2A or V2A (``task`` is a key of FRONTENDS), with weights drawn from ``config.seed``. Raises UserError."""
    torch.manual_seed(config.seed)
    networks, given = config.networks, {"clock": config.clock, "mel": config.mel}
    speaker = build("speaker", networks.speaker, speakers=speakers)
    frontend = build(FRONTENDS[task], getattr(networks, FRONTENDS[task]), **given)
    encoder = build("encoder", networks.encoder, in_dim=frontend.out_dim + speaker.out_dim)
    decoder = build("decoder", networks.decoder, in_dim=encoder.out_dim, step=config.clock.samples_per_frame, **given)
    if networks.bn == "dual":
        encoder, decoder = with_dual_norm(encoder), with_dual_norm(decoder)
    return Model(frontend, speaker, encoder, decoder)


def build_new_vocoder(config: Config, predictor: Model | None = None) -> Vocoder:
    """The config's vocoder with weights drawn from ``config.seed``, to be trained.

    Raises:
        UserError: it has no weights, or they are trained.
    """
    torch.manual_seed(config.seed)
    generator = _vocoder(config)
    if hasattr(generator, "digest"):
        raise UserError(f"vocoder '{config.vocoder.type}' is trained already; name the generator to train, e.g. istft")
    if not list(generator.parameters()):
        raise UserError(f"vocoder '{config.vocoder.type}' has no weights to train; take istft, hifigan or wavegan")
    speaker = predictor.speaker if predictor else build("speaker", Component("none", {}), speakers=[])
    return Vocoder(generator, config.mel.n_mels, speaker, predictor)


def build_vocoder(config: Config) -> nn.Module:
    """The vocoder, in evaluation mode. Raises UserError where it has weights that come from no training."""
    vocoder = _vocoder(config)
    if list(vocoder.parameters()) and not hasattr(vocoder, "digest"):
        raise UserError(
            f"vocoder '{config.vocoder.type}' must be trained first, as conf/vocoder_istft.yaml does; then choose it "
            "with vocoder: {type: trained, run: exp/vocoder_istft/pretrain}"
        )
    return for_inference(vocoder)


def for_inference(module: Module) -> Module:
    """In evaluation mode, with weight normalisation worked into the weights where a part can do that (``fold``)."""
    parts: list[Any] = list(module.modules())
    for part in parts:
        if hasattr(part, "fold"):
            part.fold()
    return module.eval()


def _vocoder(config: Config) -> nn.Module:
    mel = config.mel
    return build("vocoder", config.vocoder, in_dim=mel.n_mels, step=mel.hop, clock=config.clock, mel=mel)


class Losses(nn.Module):
    """The weighted terms of a config; the trainer knows only their sum and their values.

    ``learn_steps``: steps of the terms' own networks for each one of the model, each on batches of its own.
    """

    def __init__(self, config: Config) -> None:
        super().__init__()
        torch.manual_seed(config.seed)
        self.terms = nn.ModuleDict(
            {n: build("loss", term, clock=config.clock, mel=config.mel) for n, term in config.losses.items()}
        )
        self.weights = {name: term.weight for name, term in config.losses.items()}
        self.learners: dict[str, Any] = {name: term for name, term in self.terms.items() if hasattr(term, "learn")}
        for name, term in self.learners.items():
            if not hasattr(term, "update"):
                raise UserError(f"loss '{name}': learn() collects gradients, update() takes a step; it has no update()")
        steps = {name: getattr(term, "learn_steps", 1) for name, term in self.learners.items()}
        if len(set(steps.values())) > 1:
            raise UserError(
                f"losses: learn_steps {steps} differ, but all share the batches; give all the same learn_steps"
            )
        self.learn_steps = max(steps.values(), default=1)
        if not any(getattr(term, "validates", True) for term in self.terms.values()):
            raise UserError("losses: critics can't tell the best checkpoint; add a loss such as log_mel")

    def forward(self, output: Output, batch: Batch, validate: bool = False) -> tuple[Tensor, dict[str, Tensor]]:
        """(output, batch) -> (weighted total, every value a term gave, by name); ``validate``: of terms that do."""
        total, values = torch.zeros((), device=batch.mask.device), {}
        for name, term in self.terms.items():
            if not validate or getattr(term, "validates", True):
                for key, value in term(output, batch).items():
                    total = total + self.weights[name] * value
                    values[_label(name, key)] = value.detach()
        return total, values

    def learn(self, output: Output, batch: Batch) -> dict[str, Tensor]:
        """Collect the gradients of the terms' own networks for a batch. Returns what they tell of it."""
        output = output.detached()
        found = {n: term.learn(output, batch) for n, term in self.learners.items()}
        return {_label(name, key): value.detach() for name, values in found.items() for key, value in values.items()}

    def update(self) -> None:
        """Let the terms' own networks take a step, once they have the gradients of all batches of a step, as means."""
        for term in self.learners.values():
            term.update()

    def digests(self) -> dict[str, str]:
        """Of weights that terms bring with them, by name of the term."""
        digests = {name: getattr(term, "digest", None) for name, term in self.terms.items()}
        return {name: str(digest) for name, digest in digests.items() if digest}

    def state(self) -> dict[str, Any]:
        """What resuming needs of the terms that learn."""
        return {name: term.state_dict() for name, term in self.learners.items()}

    def load_state(self, state: dict[str, Any]) -> None:
        """Undo :meth:`state`."""
        for name, term in self.learners.items():
            term.load_state_dict(state[name])


def _label(name: str, key: str) -> str:
    return name if key == name else f"{name}/{key}"
