"""A mistyped model of push, export and info: what is at the path, and what the command takes."""

import pytest

from v2skit.cli.main import main


@pytest.mark.parametrize("command", [["push", "{}", "hf://me/model"], ["export", "{}", "-o", "m.onnx"], ["info", "{}"]])
def test_the_error_says_what_is_there_and_what_is_taken(command, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "model.v2s").write_text("no pack")
    (tmp_path / "empty").mkdir()
    folder = {
        "push": "empty is a folder, not a packed model; v2skit pack empty -o model.v2s makes one",
        "export": "empty is neither a checkpoint nor a run with checkpoints; "
        "give a packed model (a .v2s file, installed:NAME or hf://",
        "info": "empty is a folder, not a packed model",
    }
    for path, message in (
        ("modle.v2s", "modle.v2s does not exist; give a packed model"),
        ("modle.v2s", "; did you mean model.v2s?"),
        ("nowhere/model.v2s", "; there is no folder nowhere either"),
        ("model.v2s", "model.v2s is no v2skit model, or is damaged"),
        ("empty", folder[command[0]]),
    ):
        assert main([word.format(path) for word in command]) == 1
        error = capsys.readouterr().err
        assert message in error and "makes them" not in error and error.count("\n") == 1
