"""What an audit has found: facts that were checked, and findings, each in one sentence."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any

KINDS = {
    "input": "speech depends on ground-truth audio, or its synthesis opens that",
    "speech": "sound files that v2skit did not synthesise",
    "predictions": "training clips get speech of a model that was trained on them, better than that of other clips",
    "start": "weights that the training starts from were trained on test clips",
    "reference": "the speaker reference of a scored clip is of its own audio",
    "files": "audio or video of clips in two splits",
    "speakers": "speakers of an unseen-speaker split in two splits",
    "sentences": "sentences in two splits",
}
"""Kind of a finding -> what it is about."""


@dataclass(frozen=True)
class Finding:
    """A leak, or what may be one.

    Args:
        kind: one of KINDS.
        text: a sentence that names an example and the remedy.
    """

    kind: str
    text: str


@dataclass
class Audit:
    """What an audit has found.

    Args:
        allowed: kinds that count as facts.
        checked: facts, each a sentence.
        findings: of the other kinds.
    """

    allowed: frozenset[str] = frozenset()
    checked: list[str] = field(default_factory=list)
    findings: list[Finding] = field(default_factory=list)

    def find(self, kind: str, text: str) -> None:
        """Add a finding; one of an allowed kind is a fact."""
        if kind in self.allowed:
            self.checked.append(f"allowed ({kind}): {text}")
        else:
            self.findings.append(Finding(kind, text))

    def tree(self) -> dict[str, Any]:
        """The content of ``audit.json``."""
        return asdict(self) | {"allowed": sorted(self.allowed)}

    def __str__(self) -> str:
        lines = [f"checked: {text}" for text in self.checked]
        return "\n".join([*lines, *(f"finding ({finding.kind}): {finding.text}" for finding in self.findings)])
