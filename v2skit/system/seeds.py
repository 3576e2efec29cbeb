"""Seeds of random generators."""

from __future__ import annotations

import hashlib

import torch


def seed_part(seed: int, name: str) -> None:
    """Seed torch's random generators for the initial weights of one part.

    Each part has a seed of its own, so that its initial weights do not depend on which others are built before it, and
    how many numbers these draw.

    Args:
        seed: of the experiment.
        name: of the part, such as ``encoder``.
    """
    digest = hashlib.sha256(f"{seed} {name}".encode()).digest()
    torch.manual_seed(int.from_bytes(digest[:4], "big"))  # a generator uses 32 bits of its seed
