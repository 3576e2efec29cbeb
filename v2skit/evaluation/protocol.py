"""Evaluation protocols: files that fix all conditions under which scores compare, and are named NAME@VERSION.

A shipped protocol never changes: what changes is a new version. Its fingerprint, of all its fields, is written into the
results and the scores of every clip.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal

from v2skit.config.check import check
from v2skit.config.yaml_tree import parse_yaml
from v2skit.errors import UserError, suggestion
from v2skit.system.provenance import Difference, Provenance
from v2skit.system.text_file import read_text

FOLDER = Path(__file__).parent / "protocols"
NO_REFERENCE = "not stated"
"""The speaker-reference rule of a speaker component that states none."""
TRIMMING = "none"
"""Scoring trims no clip."""
_REMEDY = "change the config, or name another protocol with --protocol"


@dataclass(frozen=True)
class Split:
    """The test set.

    Args:
        clips: :func:`digest_of` its utterance ids.
        count: number of its utterances.
        unseen_talkers: none of its talkers is in the training data; None: unknown, without the training data.
    """

    clips: str
    count: int
    unseen_talkers: bool | None


@dataclass(frozen=True)
class Protocol:
    """What must hold of a scoring.

    Args:
        name: NAME@VERSION.
        split: of the test set.
        sample_rate: of references and hypotheses, Hz.
        metrics: column -> how its stated protocol begins, such as the mode of PESQ; other columns are free.
        recogniser: the stated protocol of the recogniser, with its version and language model; None: any or none.
        normaliser: of the texts whose words are counted.
        speaker_reference: the permitted rules, what the input of the speaker component is computed from.
        alignment: the scores that are compared: of the hypotheses as they are, or shifted by their lag.
        trimming: of the clips.
    """

    name: str
    split: Split
    sample_rate: int
    metrics: dict[str, str]
    recogniser: str | None
    normaliser: str
    speaker_reference: list[str]
    alignment: Literal["none", "lag"] = "none"
    trimming: Literal["none"] = "none"

    @property
    def fields(self) -> dict[str, Any]:
        """All but the name."""
        return {key: value for key, value in asdict(self).items() if key != "name"}

    @property
    def fingerprint(self) -> str:
        """Twelve hexadecimal digits, of the fields."""
        text = json.dumps(self.fields, sort_keys=True, ensure_ascii=False)
        return hashlib.sha256(text.encode()).hexdigest()[:12]

    def differences(self, found: Conditions, split: bool = True) -> list[Difference]:
        """The fields that do not hold.

        Args:
            found: the conditions of a scoring.
            split: compare the test sets too.
        """
        values = found.tree()
        wanted = {key: value for key, value in self.fields.items() if split or key != "split"}
        if found.speaker_reference in self.speaker_reference:
            wanted["speaker_reference"] = found.speaker_reference
        if self.recogniser is None:
            wanted["recogniser"] = found.recogniser
        if self.alignment in found.alignments:
            wanted["alignment"] = values["alignment"] = self.alignment
        holding = (name for name, text in self.metrics.items() if found.metrics.get(name, "").startswith(text))
        wanted["metrics"] = self.metrics | {name: found.metrics[name] for name in holding}
        values["metrics"] = {name: found.metrics.get(name) for name in self.metrics}
        return Provenance(wanted).diff(Provenance({key: values[key] for key in wanted}))

    def check(self, found: Conditions, split: bool = True) -> None:
        """Raises UserError, with the fields ``differences``, where fields do not hold; arguments as
        :meth:`differences`."""
        if differences := self.differences(found, split):
            text = worded(differences, "in the protocol", "here")
            raise UserError(f"protocol {self.name} does not hold: {text}; {_REMEDY}", differences=differences)


@dataclass(frozen=True)
class Conditions:
    """What a scoring is like, for the fields of a :class:`Protocol`; ``recogniser`` and ``metrics`` are the stated
    protocols of all columns, and ``alignments`` those there are scores of."""

    split: Split | None
    sample_rate: int
    metrics: dict[str, str]
    recogniser: str | None
    normaliser: str
    speaker_reference: str
    alignments: list[str] = field(default_factory=lambda: ["none"])
    trimming: str = TRIMMING

    def tree(self) -> dict[str, Any]:
        """As keys and values, named as the fields of a protocol."""
        tree = asdict(self)
        tree["alignment"] = " or ".join(tree.pop("alignments"))
        return tree


def load(name: str) -> Protocol:
    """A shipped protocol by its name, or one of a file by its path.

    Raises:
        UserError: there is no such protocol, or the file can't be read or has wrong fields.
    """
    shipped = {path.stem: path for path in sorted(FOLDER.glob("*.yaml"))}
    path = shipped.get(name, Path(name))
    try:
        if not name:
            raise FileNotFoundError
        text = read_text(path)
    except FileNotFoundError as error:
        hint = suggestion(name, shipped)
        raise UserError(f"there is no protocol '{name}', shipped or as a file{hint}", key="scoring.protocol") from error
    except (OSError, ValueError) as error:
        raise UserError.about(path, f"can't be read ({error}); name the YAML file of a protocol") from error
    tree = parse_yaml(text, str(path))
    return check({"name": path.stem, **tree} if isinstance(tree, dict) else tree, Protocol, str(path))


def digest_of(ids: Iterable[str]) -> str:
    """Twelve hexadecimal digits that identify a set of utterance ids, whatever their order."""
    return hashlib.sha256("".join(f"{name}\n" for name in sorted(ids)).encode()).hexdigest()[:12]


def worded(differences: Iterable[Difference], before: str, now: str) -> str:
    """Fields that differ, with their values on both sides, for people."""
    return "; ".join(f"{d.key}: {_shown(d.before)} {before}, {_shown(d.now)} {now}" for d in differences)


def _shown(value: Any) -> str:
    if isinstance(value, list):
        return " or ".join(map(str, value))
    return "none" if value is None else str(value)


def stated(protocol: Protocol | None, found: Conditions) -> dict[str, Any]:
    """What ``results.json`` says of a scoring: its protocol, None where none was asked for, and its conditions."""
    named = protocol and {"name": protocol.name, "fingerprint": protocol.fingerprint, "fields": protocol.fields}
    tree: Mapping[str, Any] = found.tree()
    return {"protocol": named, "conditions": {key: value for key, value in tree.items() if key != "metrics"}}
