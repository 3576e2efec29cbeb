"""Weights of a part are read from every kind of file, and what is not in it is named."""

import pytest
import torch
from safetensors.torch import save_file

from v2skit.config.load import load_config
from v2skit.config.parts import Part
from v2skit.errors import UserError
from v2skit.models import checkpoint
from v2skit.models.build import build_model
from v2skit.models.pack_header import Card
from v2skit.models.package import pack
from v2skit.models.weights import digest_of, read_weights


@pytest.fixture
def experiment(tiny, tmp_path):
    """An experiment with a pre-trained and a fine-tuned model; its folder, and the weights by task."""
    config, weights = load_config(tiny), {}
    for run, task in (("pretrain", "a2a"), ("finetune", "v2a")):
        weights[task] = build_model(config, task, ["a"]).state_dict()
        weights[task] = {n: v + 1 if task == "v2a" else v for n, v in weights[task].items()}
        averaged = {name: value + 2 for name, value in weights[task].items()}
        meta = checkpoint.new_meta(config, task, ["a"])
        folder = checkpoint.folder_of(tmp_path / "exp" / run, 1)
        checkpoint.save(checkpoint.Checkpoint(meta, weights[task], averaged), folder)
        weights[task] = averaged
    return tmp_path / "exp", weights


def part_of(weights: dict, part: str) -> dict:
    return {name.removeprefix(f"{part}."): value for name, value in weights.items() if name.startswith(f"{part}.")}


def check(found, wanted: dict) -> None:
    assert found.tensors.keys() == wanted.keys() and wanted
    assert all(torch.equal(value, wanted[name]) for name, value in found.tensors.items())


@pytest.mark.parametrize(
    ("name", "task", "source"),
    [
        ("decoder", "a2a", "a2a"), ("decoder", "v2a", "v2a"),
        ("audio_frontend", "a2a", "a2a"), ("visual_frontend", "v2a", "v2a"),
    ],
)  # fmt: skip
def test_an_experiment_gives_the_weights_of_the_same_task(experiment, name, task, source):
    folder, weights = experiment
    found = read_weights(name, Part(init=str(folder)), task)
    model_part = "frontend" if name.endswith("frontend") else name
    check(found, part_of(weights[source], model_part))
    assert found.meta.task == source
    assert found.digest == digest_of(Part(init=str(folder)), name, task) == found.meta.digest
    assert len(found.others) + len(found.tensors) == len(weights[source])


def test_runs_checkpoints_packs_and_other_parts(experiment, tmp_path):
    folder, weights = experiment
    best = checkpoint.best(folder / "pretrain")
    for path in (folder / "pretrain", best):
        check(read_weights("decoder", Part(init=str(path)), "v2a"), part_of(weights["a2a"], "decoder"))
    visual = Part(init=str(folder), init_part="visual_frontend")
    check(read_weights("audio_frontend", visual, "a2a"), part_of(weights["v2a"], "frontend"))
    pack(folder, tmp_path / "model.v2s", None, Card())
    packed = Part(init=str(tmp_path / "model.v2s"))
    check(read_weights("encoder", packed, "a2a"), part_of(weights["v2a"], "encoder"))
    assert digest_of(packed, "encoder", "a2a") == checkpoint.digest(checkpoint.best(folder / "finetune"))


def test_a_pack_in_int8_gives_float32_weights(experiment, tmp_path):
    folder, weights = experiment
    pack(folder, tmp_path / "model.v2s", None, Card(), precision="int8")
    packed, wanted = Part(init=str(tmp_path / "model.v2s")), part_of(weights["v2a"], "decoder")
    found = read_weights("decoder", packed, "v2a")
    assert found.tensors.keys() == wanted.keys() and found.others.keys() == weights["v2a"].keys() - {
        f"decoder.{name}" for name in wanted
    }
    rounded = {name for name, value in found.tensors.items() if not torch.equal(value, wanted[name])}
    assert rounded and all(value.dtype == wanted[name].dtype for name, value in found.tensors.items())
    for name in rounded:
        assert (found.tensors[name] - wanted[name]).abs().max() <= 0.501 / 127 * wanted[name].abs().max()
    assert found.digest == digest_of(packed, "decoder", "v2a") == found.meta.digest
    assert found.digest != checkpoint.digest(checkpoint.best(folder / "finetune"))


def test_bare_state_dicts_with_names_of_their_own(tmp_path):
    tensors = {"net.decoder.w": torch.ones(2), "net.decoder.old.b": torch.zeros(3), "other": torch.ones(1)}
    save_file(tensors, tmp_path / "a.safetensors")
    torch.save({"step": 3, "net": {"decoder": {"w": torch.ones(2), "old": {"b": torch.zeros(3)}}}}, tmp_path / "a.pt")
    prefix = {"net.decoder.": "", "net.decoder.old.": "new."}
    for path, others in ((tmp_path / "a.safetensors", {"other"}), (tmp_path / "a.pt", set())):
        part = Part(init=str(path), init_prefix=prefix)
        found = read_weights("decoder", part, "v2a")
        check(found, {"w": torch.ones(2), "new.b": torch.zeros(3)})
        assert found.others.keys() == others and found.meta is None
        before = digest_of(part, "decoder", "v2a")
        assert before == found.digest
    torch.save({"net": {"decoder": {"w": torch.zeros(2)}}}, tmp_path / "a.pt")
    assert digest_of(part, "decoder", "v2a") != before
    save_file({"decoder.w": torch.ones(2)}, tmp_path / "b.safetensors")
    check(read_weights("decoder", Part(init=str(tmp_path / "b.safetensors")), "v2a"), {"w": torch.ones(2)})


class Harmful:
    def __reduce__(self):
        return print, ("run",)


def test_what_is_not_there_is_named(experiment, tmp_path, capsys):
    folder, _ = experiment
    (tmp_path / "text.pt").write_text("hello")
    torch.save(Harmful(), tmp_path / "harmful.pt")
    save_file({"decoder.w": torch.ones(2)}, tmp_path / "b.safetensors")
    for init, more, message in (
        ("nowhere", {}, r"nowhere does not exist; give a checkpoint, a run, an experiment, a pack or a state dict"),
        (
            folder / "finetune",
            {"init_part": "audio_frontend"},
            r"of task v2a without audio_frontend; its parts: visual",
        ),
        (folder, {"init_part": "generator"}, r"of task v2a without generator; its parts"),
        (folder, {"init_part": "encodr"}, r"of task v2a without encodr; its parts"),
        (
            folder,
            {"init_part": "heads.ctc"},
            r"no tensor of .* begins with 'heads.ctc.'; it has decoder, encoder, front",
        ),
        (tmp_path / "b.safetensors", {"init_part": "net"}, r"no tensor of .* begins with 'net.'; it has decoder; give"),
        (tmp_path / "text.pt", {}, r"text.pt can't be read as weights .*; give a checkpoint"),
        (tmp_path / "harmful.pt", {}, r"harmful.pt can't be read as weights .*; give a checkpoint"),
        (tmp_path / "tiny.yaml", {}, r"tiny.yaml can't be read as weights"),
    ):
        with pytest.raises(UserError, match=rf"^parts.decoder.init: .*{message}") as error:
            read_weights("decoder", Part(init=str(init), **more), "v2a")
        assert error.value.fields["key"] == "parts.decoder.init"
    assert not capsys.readouterr().out
