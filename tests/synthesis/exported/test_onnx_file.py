"""ONNX files that are damaged, of other programs or of strangers are refused in one sentence, and run nothing."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np
import pytest

import v2skit
from v2skit.cli.main import main
from v2skit.errors import UserError
from v2skit.synthesis.exported.file import FORMAT, KEY, OnnxFile


@pytest.fixture
def changed(exported, tmp_path):
    """A function that changes the exported model and returns the path of the changed file."""

    def change(function) -> Path:
        model = OnnxFile.read(exported[1]).model
        function(model)
        path = tmp_path / "changed.onnx"
        path.write_bytes(model.SerializeToString())
        return path

    return change


def header(**changes):
    """A change of fields of the header."""

    def change(model) -> None:
        (prop,) = model.metadata_props
        prop.value = json.dumps({**json.loads(prop.value), **changes})

    return change


def test_the_extra_is_named_where_it_is_missing(tmp_path, monkeypatch, capsys):
    for module in ("onnx", "onnxruntime", "onnxscript"):
        monkeypatch.setitem(sys.modules, module, None)
    path = tmp_path / "model.onnx"
    path.write_bytes(b"")
    new = str(tmp_path / "new.onnx")
    for command in (["export", "-o", new], ["stream", "clip.mp4", "--model", str(path)]):
        assert main(command) == 1
        assert "pip install 'v2skit[onnx]'" in capsys.readouterr().err


def test_the_file_of_an_export_ends_in_onnx(tmp_path, capsys):
    assert main(["export", "m.v2s", "-o", str(tmp_path / "model.v2s")]) == 1
    assert "ends in .onnx" in capsys.readouterr().err


def test_an_existing_file_is_replaced_by_force_only(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr("v2skit.synthesis.exported.export.export_model", lambda *_: Written())
    path = tmp_path / "model.onnx"
    path.write_bytes(b"mine")
    command = ["export", "m.v2s", "-o", str(path)]
    assert main(command) == 1
    assert f"{path} exists; name another file with -o, or replace it with --force" in capsys.readouterr().err
    assert path.read_bytes() == b"mine"
    assert main([*command, "--force"]) == 0 and path.read_bytes() == b"exported"


class Written:
    """In place of an ONNX file in memory."""

    def write(self, path: Path) -> None:
        path.write_bytes(b"exported")


def test_model_and_vocoder_of_an_export_may_be_addresses(tmp_path, monkeypatch):
    def export(*paths: Path) -> Written:
        exported.append(paths)
        return Written()

    exported: list = []
    monkeypatch.setattr("v2skit.hub.fetch.local_path", lambda name: Path("cache", name.removeprefix("hf://")))
    monkeypatch.setattr("v2skit.synthesis.exported.export.export_model", export)
    assert main(["export", "hf://me/x", "-o", str(tmp_path / "m.onnx"), "--vocoder", "hf://me/y"]) == 0
    assert exported == [(Path("cache/me/x"), Path("cache/me/y"))]


def test_a_file_that_is_cut_short_is_refused_wherever_it_ends(exported, tmp_path):
    whole, path = exported[1].read_bytes(), tmp_path / "cut.onnx"
    for share in (0.0, 0.01, 0.3, 0.7, 0.99, 0.9999):
        path.write_bytes(whole[: int(share * len(whole))])
        with pytest.raises(UserError, match="export it again") as error:
            v2skit.load(path)
        assert str(path) in str(error.value)


def test_files_of_other_programs_are_refused(onnx, tmp_path):
    path = tmp_path / "other.onnx"
    node = onnx.helper.make_node("Identity", ["x"], ["y"])
    x, y = (onnx.helper.make_tensor_value_info(name, 1, [1]) for name in "xy")
    onnx.save(onnx.helper.make_model(onnx.helper.make_graph([node], "other", [x], [y])), path)
    with pytest.raises(UserError, match="another program wrote it.*export it again"):
        v2skit.load(path)
    path.write_text("no model at all")
    with pytest.raises(UserError, match="is no ONNX file.*export it again"):
        v2skit.load(path)
    with pytest.raises(UserError, match="No such file"):
        v2skit.load(tmp_path / "none.onnx")


def outside(model) -> None:
    """A tensor that is read from another file."""
    tensor = model.graph.initializer[0]
    tensor.data_location = 1
    entry = tensor.external_data.add()
    entry.key, entry.value = "location", "/etc/passwd"


def constant_outside(model) -> None:
    node = model.graph.node.add(op_type="Constant", output=["more"])
    attribute = node.attribute.add(name="value", type=4)
    attribute.t.data_location = 1
    attribute.t.external_data.add(key="location", value="/etc/passwd")


def sparse_outside(tensor) -> None:
    """A sparse tensor whose values are read from another file."""
    tensor.dims.append(2)
    tensor.values.data_location = 1
    tensor.values.external_data.add(key="location", value="/etc/passwd")


def sparse_constant_outside(model) -> None:
    node = model.graph.node.add(op_type="Constant", output=["more"])
    sparse_outside(node.attribute.add(name="sparse_value", type=11).sparse_tensor)


def sparse_constants_outside(model) -> None:
    node = model.graph.node.add(op_type="Constant", output=["more"])
    sparse_outside(node.attribute.add(name="values", type=12).sparse_tensors.add())


def sparse_initializer_inside(model) -> None:
    node = model.graph.node.add(op_type="If", input=["cond"], output=["more"])
    sparse_outside(node.attribute.add(name="then_branch", type=5).g.sparse_initializer.add())


def training_outside(model) -> None:
    tensor = model.training_info.add().initialization.initializer.add(data_location=1)
    tensor.external_data.add(key="location", value="/etc/passwd")


def custom(model) -> None:
    model.graph.node[0].domain = "com.stranger"


def custom_inside(model) -> None:
    node = model.graph.node.add(op_type="If", input=["cond"], output=["more"])
    node.attribute.add(name="then_branch", type=5).g.node.add(op_type="Run", domain="com.stranger")


def function(model) -> None:
    model.functions.add(name="Identity", domain="com.stranger")


OUTSIDE = [outside, constant_outside, sparse_constant_outside, sparse_constants_outside, sparse_initializer_inside]


@pytest.mark.parametrize("change", [*OUTSIDE, training_outside, custom, custom_inside, function])
def test_only_standard_operators_and_the_file_itself_are_used(changed, change):
    with pytest.raises(UserError, match="custom operators or further files"):
        v2skit.load(changed(change))


def other_weights(model) -> None:
    tensor = next(tensor for tensor in model.graph.initializer if len(tensor.raw_data) > 100)
    tensor.raw_data = bytes(len(tensor.raw_data))


def short_tensor(model) -> None:
    tensor = next(tensor for tensor in model.graph.initializer if len(tensor.raw_data) > 100)
    tensor.raw_data = tensor.raw_data[:-3]


def tensor_of_no_type(model) -> None:
    model.graph.initializer[0].data_type = 99


def text_tensor(model) -> None:
    tensor = model.graph.initializer[0]
    tensor.CopyFrom(type(tensor)(name=tensor.name, data_type=8, dims=[1], string_data=[b"text"]))


def unknown_operator(model) -> None:
    model.graph.node[0].op_type = "Sing"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (other_weights, "its tensors are not those that were exported"),
        (short_tensor, "a tensor can't be read.*export it again"),
        (tensor_of_no_type, "a tensor can't be read"),
        (text_tensor, "a tensor can't be read"),
        (unknown_operator, "Sing"),
        (header(format=FORMAT + 1, v2skit="9.0"), "exported by v2skit 9.0, this is .*install that one or newer"),
        (header(format=FORMAT + 1, v2skit="\x1b[2J" + "9" * 500), r"v2skit \?\[2J9{36}, this is"),
        (header(format="new"), "format"),
        (header(networks={}), "frontend"),
        (header(voices={"anna": ["loud"]}), "voices"),
    ],
)
def test_a_changed_file_is_refused_with_the_reason(changed, change, message):
    with pytest.raises(UserError, match=message):
        v2skit.load(changed(change))


def test_code_is_not_run(changed):
    def change(model) -> None:
        (prop,) = model.metadata_props
        tree = json.loads(prop.value)
        tree["meta"]["config"]["networks"]["speaker"] = {"type": "os:system"}
        prop.value = json.dumps(tree)

    with pytest.raises(UserError, match="a pack runs only v2skit and installed plug-ins|exported model runs only"):
        v2skit.load(changed(change))


def test_the_description_is_json_in_the_metadata(exported, onnx):
    properties = {prop.key: prop.value for prop in onnx.load(exported[1]).metadata_props}
    described = json.loads(properties[KEY])
    assert described["meta"]["config"]["clock"] == {"fps": 25, "sample_rate": 24000}
    assert np.isclose(described["meta"]["config"]["mel"]["hop"], 240)
    assert list(described["networks"]) == ["frontend", "conditioner", "encoder", "decoder"]


def test_info_describes_it(exported, capsys):
    assert main(["info", str(exported[1])]) == 0
    text = capsys.readouterr().out
    assert "tiny: video-to-speech, exported by v2skit" in text and "licence:   not stated" in text
    assert "networks:  frontend, conditioner, encoder, decoder" in text and "sound:     24000 Hz" in text
