"""``v2skit import-avhubert``: an official checkpoint -> initial weights, with a ledger of every tensor."""

from __future__ import annotations

import json
from pathlib import Path

from safetensors.torch import save_file

from v2skit.system.atomic import atomic_write, write_text
from v2skit_avhubert.frontend import LICENCE, state_licence
from v2skit_avhubert.official import Official, read_official


def run(checkpoint: Path, out: Path) -> None:
    """Write ``weights.safetensors`` and ``ledger.md`` and print what a config needs. Raises UserError as
    :func:`v2skit_avhubert.official.read_official`."""
    found = read_official(checkpoint)
    state_licence()
    out.mkdir(parents=True, exist_ok=True)
    weights = out / "weights.safetensors"
    with atomic_write(weights) as unfinished:
        tensors = {f"frontend.{name}": value for name, value in found.tensors.items()}
        save_file(tensors, unfinished, {"licence": LICENCE, "source": checkpoint.name})
    write_text(out / "ledger.md", _ledger(found, checkpoint))
    arguments = "".join(f", {name}: {json.dumps(value)}" for name, value in found.settings.items())
    print(f"{len(found.mapped)} tensors are imported, {len(found.left_out)} left out; see {out / 'ledger.md'}")
    print("for the config (init relative to the recipe's folder):")
    width = len(found.tensors["norm.weight"])
    print(f"networks: {{visual_frontend: {{type: avhubert{arguments}}}, audio_frontend: {{out_dim: {width}}}}}")
    print(f"parts: {{visual_frontend: {{init: {weights.resolve()}, frozen: all}}}}")


def _ledger(found: Official, checkpoint: Path) -> str:
    lines = [f"{checkpoint.name}: {LICENCE}", ""]
    lines += ["| tensor of the checkpoint | shape | tensor of the frontend |", "|---|---|---|"]
    for name, shape in found.shapes.items():
        outcome = found.mapped.get(name) or f"left out: {found.left_out[name]}"
        lines.append(f"| {name} | {'x'.join(map(str, shape)) or 'scalar'} | {outcome} |")
    return "\n".join(lines) + "\n"
