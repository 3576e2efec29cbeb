"""Whether a V2A model may predict an input of another model, which then synthesises from the video with it."""

from __future__ import annotations

from v2skit.config.features import check_same_features, feature_settings
from v2skit.config.schema import Config
from v2skit.data.batch import PREDICTED
from v2skit.data.targets import Targets, check_same_targets
from v2skit.errors import UserError
from v2skit.models.checkpoint import Meta
from v2skit.models.model import Model

Predictor = tuple[Config, Model, Meta]
"""Its config, it, and the description of its checkpoint."""


def check_predictor(config: Config, targets: Targets, theirs: Config, meta: Meta, name: str) -> None:
    """Compare a config with that of its predictor.

    Args:
        config: which names the predictor.
        targets: of the config, fitted.
        theirs: config of the predictor.
        meta: description of its checkpoint.
        name: of the predictor, for messages.

    Raises:
        UserError: the predictor has other mel settings, targets or mouth crops.
    """
    check_same_features(feature_settings(config.clock, config.mel), meta.features, "this config", name)
    check_same_targets(targets.states, meta.targets, "this config", name)
    if (config.crop, config.augmentation.crop) != (theirs.crop, theirs.augmentation.crop):
        raise UserError(f"{name} has other mouth crops; give this config its crop and augmentation.crop")


def check_same_predictor(meta: Meta, digest: str, model: str, name: str) -> None:
    """Compare the digest of a predictor with that of the one of a model's training.

    Args:
        meta: description of the model's checkpoint.
        digest: of the predictor that is there now.
        model: its name, for messages.
        name: of the predictor, for messages.

    Raises:
        UserError: the model was trained with another one.
    """
    if meta.predictor and meta.predictor != digest.partition("+")[0]:  # before the +: of the predictor itself
        raise UserError(
            f"{name} is not the one that {model} was trained with (digest {meta.predictor}, and this is {digest}); "
            "restore that one, or repeat stage 4 of the model with --force"
        )


def check_chain(config: Config, speakers: list[str], predicted: tuple[str, ...], theirs: Predictor, name: str) -> None:
    """Compare a model with its predictor, which shares its speaker input.

    Args:
        config: of the model.
        speakers: names behind its speaker table.
        predicted: its inputs that the predictor predicts.
        theirs: the predictor.
        name: of the predictor, for messages.

    Raises:
        UserError: the predictor does not predict these inputs, or has another speaker component or other speakers.
    """
    their_config, model, meta = theirs
    given = sorted(model.streams - model.head_streams)
    lacking = [stream for stream in predicted if stream.removeprefix(PREDICTED) not in given]
    if lacking:
        wanted = lacking[0].removeprefix(PREDICTED)
        raise UserError(
            f"{name} predicts {', '.join(given)}, and the visual frontend needs {wanted}; give it an audio frontend "
            f"whose input is {given[0]}, or a predictor that outputs {wanted}"
        )
    if config.networks.speaker != their_config.networks.speaker:
        raise UserError(f"{name} has another speaker component; give this config its networks.speaker")
    if getattr(model.speaker, "voices", None) and meta.speakers != speakers:
        raise UserError(f"{name} has other speakers than this model; train both on the same data directories")
