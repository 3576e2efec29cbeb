"""The packed models that are installed with v2skit, in ``v2skit/pretrained``: what is used where no model is named."""

from __future__ import annotations

from pathlib import Path

from v2skit.errors import UserError
from v2skit.hub.address import SUFFIX

FOLDER = Path(__file__).parents[1] / "pretrained"
OFFLINE, LIVE = f"grid{SUFFIX}", f"grid_streaming{SUFFIX}"


def installed_models() -> list[Path]:
    """The packs that are installed with v2skit, by name; none in a checkout without them."""
    return sorted(FOLDER.glob(f"*{SUFFIX}"))


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
