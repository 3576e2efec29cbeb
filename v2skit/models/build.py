"""Checked settings -> built objects: children first, dimensions from the objects before them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeVar

from torch import nn

from v2skit.config.schema import Config
from v2skit.data.batch import PREDICTED
from v2skit.data.targets import Targets, check_same_targets, in_order
from v2skit.errors import UserError
from v2skit.models.layers.dual_norm import with_dual_norm
from v2skit.models.layers.feature_masks import FeatureMasks
from v2skit.models.model import Model, Vocoder, stream_names
from v2skit.registry.build import build
from v2skit.registry.component import Component
from v2skit.system.seeds import seed_part

Module = TypeVar("Module", bound=nn.Module)

FRONTENDS = {"a2a": "audio_frontend", "v2a": "visual_frontend"}
"""A2A is pre-training, V2A is video-to-speech; they differ only in the frontend. A third task is ``vocoder``."""


def build_targets(config: Config, states: Mapping[str, dict] | None = None) -> Targets:
    """The targets of a config.

    Args:
        config: of the experiment.
        states: of those that were fitted.

    Raises:
        UserError: one can't be built, is computed from one that is not there or from itself, or its state is not what
            it reads.
    """
    states = {name: state for name, state in (states or {}).items() if name in config.targets}
    built = {n: build("target", choice, clock=config.clock, mel=config.mel) for n, choice in config.targets.items()}
    for name, target in built.items():
        missing = [stream for stream in getattr(target, "needs", ()) if stream not in built]
        if missing:
            remedy = f"add targets.{missing[0]}, as in targets: {{{missing[0]}: {{type: {missing[0]}}}}}"
            raise UserError(f"target '{name}' is computed from the target '{missing[0]}', which is not there; {remedy}")
    for name, state in states.items():
        try:
            built[name].load_state(state)
        except UserError as error:
            raise UserError(f"target '{name}': {error}", **error.fields) from error
        except (LookupError, TypeError, ValueError, AttributeError) as error:
            remedy = "give the target the settings that it was fitted with, or delete the state in data/targets/"
            raise UserError(f"target '{name}': its stored state can't be read ({error}); {remedy}") from error
    return Targets(in_order(built), states)


def build_model(config: Config, task: str, speakers: list[str], targets: Targets = Targets()) -> Model:
    """A2A or V2A. The weights of each part are drawn from ``config.seed`` and its name: they do not depend on the other
    parts, such as the number of speakers in a table.

    Args:
        config: of the experiment.
        task: a key of FRONTENDS.
        speakers: names behind a speaker table.
        targets: that decoder and heads predict.

    Raises:
        UserError: a part can't be built, two of them give the same stream, or the decoder is to get a speaker embedding
            and there is none.
    """
    networks, given = config.networks, {"clock": config.clock, "mel": config.mel, "targets": targets.built}

    def part(name: str, kind: str, choice: Component, **more: Any) -> Any:
        seed_part(config.seed, name)
        return build(kind, choice, **more)

    speaker = part("speaker", "speaker", networks.speaker, speakers=speakers)
    frontend = part("frontend", FRONTENDS[task], getattr(networks, FRONTENDS[task]), **given)
    encoder = part("encoder", "encoder", networks.encoder, in_dim=frontend.out_dim + speaker.out_dim)
    samples = config.clock.samples_per_frame
    if networks.decoder_speaker and not speaker.out_dim:
        message = f"the speaker component '{networks.speaker.type}' has no embedding that the decoder could be given"
        remedy = "leave the key out, or choose another component, such as networks.speaker: {type: d_vector}"
        raise UserError(f"networks.decoder_speaker: {message}; {remedy}", key="networks.decoder_speaker")
    width = encoder.out_dim + (speaker.out_dim if networks.decoder_speaker else 0)
    decoder = part("decoder", "decoder", networks.decoder, in_dim=width, step=samples, **given)
    widths = {"frontend": frontend.out_dim, "encoder": encoder.out_dim}
    heads: dict[str, Any] = {
        name: part(f"heads.{name}", "head", choice, in_dim=widths[choice.on], **given)
        for name, choice in networks.heads.items()
    }
    _check_heads(heads, decoder)
    if networks.bn == "dual":
        encoder, decoder = with_dual_norm(encoder), with_dual_norm(decoder)
        heads = {name: with_dual_norm(head) for name, head in heads.items()}
    if task == "v2a":
        _check_inputs(stream_names(frontend.input), config)
    on = {name: choice.on for name, choice in networks.heads.items()}
    placed = {name: (head, on[name]) for name, head in heads.items()}
    bottleneck = _bottleneck(config, frontend.out_dim) if task == "a2a" else None
    feature_masks = _feature_masks(config) if task == "v2a" else None
    return Model(frontend, speaker, encoder, decoder, placed, bottleneck, feature_masks, networks.decoder_speaker)


def _check_inputs(names: tuple[str, ...], config: Config) -> None:
    """Raises UserError where a visual frontend has inputs that neither the video nor the config's predictor gives."""
    what = f"visual_frontend '{config.networks.visual_frontend.type}'"
    others = [name for name in names if name != "video" and not name.startswith(PREDICTED)]
    if others:
        raise UserError(
            f"{what} needs {', '.join(others)} in addition to the video, which synthesis does not have; choose one "
            "whose only input is the video"
        )
    predicted = [name for name in names if name.startswith(PREDICTED)]
    if predicted and config.predictor is None:
        remedy = "name the finished V2A model that predicts it, as in predictor: exp/mel/finetune"
        raise UserError(f"{what} needs {predicted[0]} in addition to the video; {remedy}", key="predictor")
    if config.predictor is not None and not predicted:
        remedy = "leave it out, or choose audiovisual"
        raise UserError(f"predictor: {what} has no predicted input; {remedy}", key="predictor")


def _feature_masks(config: Config) -> nn.Module | None:
    """What masks the visual features in training; None: nothing does."""
    settings = config.augmentation
    if not (settings.feature_time_share or settings.feature_channel_share):
        return None
    frames = max(1, round(settings.feature_time_seconds * config.clock.fps))
    return FeatureMasks(settings.feature_time_share, frames, settings.feature_channel_share)


def _bottleneck(config: Config, dim: int) -> nn.Module | None:
    """The bottleneck of pre-training. Without biases, so that padding stays zero."""
    corruption = config.pretrain.corruption
    if corruption is None or corruption.bottleneck_dim is None:
        return None
    narrow = corruption.bottleneck_dim
    seed_part(config.seed, "bottleneck")
    return nn.Sequential(nn.Linear(dim, narrow, bias=False), nn.Linear(narrow, dim, bias=False))


def _check_heads(heads: dict[str, Any], decoder: Any) -> None:
    """Raises UserError where two parts give the same stream, or a name can't be that of a module."""
    givers = dict.fromkeys((decoder.output, *getattr(decoder, "further_outputs", ())), "the decoder")
    for name, head in heads.items():
        if hasattr(nn.ModuleDict, name):
            raise UserError(f"networks.heads.{name}: '{name}' can't be the name of a head; give it another one")
        for stream in head.outputs:
            if stream in givers:
                message = (
                    f"networks.heads.{name}: outputs '{stream}', which {givers[stream]} outputs already; leave one out"
                )
                raise UserError(message, stream=stream)
            givers[stream] = f"head '{name}'"


def build_new_vocoder(config: Config, targets: Targets = Targets(), stream: str | None = None) -> Vocoder:
    """The config's vocoder with initial weights drawn from ``config.seed``.

    Args:
        config: of the experiment.
        targets: of the config.
        stream: of a batch, that is its input; None: its own, ground truth.

    Raises:
        UserError: it has no weights, or they are already trained.
    """
    seed_part(config.seed, "generator")
    generator = _vocoder(config, targets)
    if hasattr(generator, "digest"):
        raise UserError(f"vocoder '{config.vocoder.type}' is trained already; name the generator to train, e.g. istft")
    if not list(generator.parameters()):
        raise UserError(f"vocoder '{config.vocoder.type}' has no weights to train; choose istft, hifigan or wavegan")
    return Vocoder(generator, config.mel.n_mels, stream)


def needs_vocoder(model: Model | Vocoder) -> bool:
    """Whether a model's stream still has to become a waveform."""
    return model.output != "waveform"


def build_vocoder(config: Config, stream: str = "mel", targets: Targets = Targets()) -> nn.Module:
    """The vocoder, in evaluation mode.

    Args:
        config: that chooses it.
        stream: which is to become a waveform.
        targets: of the config.

    Raises:
        UserError: it has untrained weights, or needs another stream.
    """
    vocoder = _vocoder(config, targets)
    check_link(vocoder, config.vocoder, stream)
    check_same_targets(
        targets.states, getattr(vocoder, "target_states", {}), "the model", f"vocoder '{config.vocoder.type}'"
    )
    if list(vocoder.parameters()) and not hasattr(vocoder, "digest"):
        raise UserError(
            f"vocoder '{config.vocoder.type}' must be trained first, as conf/vocoder_istft.yaml does; then choose it "
            "with vocoder: {type: trained, run: exp/vocoder_istft/pretrain}"
        )
    return for_inference(vocoder)


def for_inference(module: Module) -> Module:
    """In evaluation mode, with weight normalisation folded into the weights where a part supports it (``fold``)."""
    parts: list[Any] = list(module.modules())
    for part in parts:
        if hasattr(part, "fold"):
            part.fold()
    return module.eval()


def vocoder_input(vocoder: nn.Module) -> str:
    """The name of the stream that a vocoder needs."""
    return getattr(vocoder, "input", "mel")


def check_link(vocoder: nn.Module, choice: Component, stream: str) -> None:
    """Raises UserError where a vocoder does not continue the chain from a stream to the waveform."""
    needed = vocoder_input(vocoder)
    if needed != stream:
        raise UserError(
            f"vocoder '{choice.type}' needs the stream '{needed}', but the decoder outputs '{stream}': nothing makes a "
            f"waveform of '{stream}'; choose a vocoder whose input is '{stream}', or a decoder that outputs '{needed}'",
            stream=stream,
        )


def _vocoder(config: Config, targets: Targets) -> nn.Module:
    mel = config.mel
    given = {"clock": config.clock, "mel": mel, "targets": targets.built}
    return build("vocoder", config.vocoder, in_dim=mel.n_mels, step=mel.hop, **given)
