"""The packed models that are installed with v2skit, in ``v2skit/pretrained``: what is used where no model is named."""

from __future__ import annotations

from pathlib import Path

from v2skit.errors import UserError
from v2skit.hub.address import SUFFIX

FOLDER = Path(__file__).parents[1] / "pretrained"
SCHEME = "installed:"
"""``installed:grid`` is the pack ``grid.v2s`` of these."""
OFFLINE, LIVE = f"grid{SUFFIX}", f"grid_streaming{SUFFIX}"


def installed_models() -> list[Path]:
    """The packs that are installed with v2skit, by name; none in a checkout without them."""
    return sorted(FOLDER.glob(f"*{SUFFIX}"))


def is_installed(model: str) -> bool:
    """Whether a model is named as one of these, whether it exists or not."""
    return model.startswith(SCHEME)


def named_model(model: str) -> Path:
    """The pack that ``installed:NAME`` names. Raises UserError where it is not installed."""
    known = {path.stem: path for path in installed_models()}
    name = model.removeprefix(SCHEME)
    if name not in known:
        names = ", ".join(f"{SCHEME}{other}" for other in known) or "none"
        raise UserError(f"{model}: no such model is installed with v2skit; there are: {names}")
    return known[name]


def default_model(live: bool = False) -> Path:
    """The pack to use where no model is named.

    Args:
        live: the one with limited look-ahead, for live video.

    Raises:
        UserError: it is not installed.
    """
    path = FOLDER / (LIVE if live else OFFLINE)
    if path.is_file():
        return path
    if live:
        raise UserError(
            "v2skit has no model for live video installed; train one, as docs/streaming.md says, and give --model"
        )
    raise UserError(
        "v2skit has no model installed; give --model, e.g. that of the mini corpus: egs/mini/run.sh, then "
        "v2skit pack egs/mini/exp/mel -o mini.v2s"
    )
