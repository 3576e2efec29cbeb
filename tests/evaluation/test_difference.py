"""How two experiments differ."""

import json

import pytest
import yaml

from tests.evaluation.test_compare import CONDITIONS, experiment, named
from v2skit.cli.main import main
from v2skit.evaluation.difference import difference


@pytest.fixture
def two(tmp_path):
    """Two experiments that differ in nothing, with all records."""
    for name in "ab":
        folder = tmp_path / name
        experiment(folder, 0.4)
        results = json.loads((folder / "results.json").read_text())
        entry = {"mean": 0.4, "low": 0.3, "high": 0.5, "n": 40}
        (folder / "results.json").write_text(json.dumps({**results, "rows": {"pretrained": {"estoi": entry}}}))
        run = folder / "finetune"
        config = yaml.safe_load((run / "config.yaml").read_text())
        config["plugins"] = [{"name": "mine.py", "digest": "1" * 12, "source": "x = 1\n"}]
        (run / "config.yaml").write_text(yaml.safe_dump(config))
        record = {"python": "3.12", "code": {"commit": "1" * 40}, "distributions": {"numpy": "2.0", "torch": "2.9"}}
        (run / "environment.json").write_text(json.dumps(record))
        (run / "machine.json").write_text(json.dumps({"cores": 2}))
        for step, version in ((100, "0.1"), (200, "0.2")):
            (run / f"checkpoint-{step:08d}").mkdir()
            meta = {"plugins": {"v2skit": version}}
            (run / f"checkpoint-{step:08d}/meta.json").write_text(json.dumps(meta))
    return tmp_path / "a", tmp_path / "b"


def edit(path, change):
    read, write = (json.loads, json.dumps) if path.suffix == ".json" else (yaml.safe_load, yaml.safe_dump)
    tree = read(path.read_text())
    change(tree)
    path.write_text(write(tree))


def keys(two):
    return {s.title: [d.key for d in s.differences] for s in difference(*two) if s.differences or s.lacking}


def test_equal_experiments_have_no_differences(two, capsys):
    assert not keys(two)
    assert main(["diff", *map(str, two)]) == 0
    wanted = "The same: config, data and other inputs, code, plug-ins, environment, scoring, scores."
    assert wanted in capsys.readouterr().out


def test_each_record_has_a_section(two, capsys):
    run = two[1] / "finetune"
    edit(run / "config.yaml", lambda t: t["finetune"].update(steps=20))
    assert keys(two) == {"Config": ["finetune.steps"]}
    edit(run / "config.yaml", lambda t: t["made_from"].update(data="2"))
    edit(run / "config.yaml", lambda t: t["plugins"][0].update(digest="2" * 12, source="x = 2\n"))
    edit(run / "checkpoint-00000200/meta.json", lambda t: t["plugins"].update(v2skit="0.3"))
    edit(run / "environment.json", lambda t: t.update(code={"commit": "2" * 40}, distributions={"numpy": "2.1"}))
    edit(run / "machine.json", lambda t: t.update(cores=4))
    results = two[1] / "results.json"
    edit(results, lambda t: t["rows"]["pretrained"]["estoi"].update(mean=0.5))
    edit(results, lambda t: t["conditions"].update({**CONDITIONS, "sample_rate": 16000}))
    edit(results, lambda t: t["conditions"]["split"].update(count=41))
    edit(results, lambda t: t.update(protocol=named("1" * 12)))
    assert keys(two) == {
        "Config": ["finetune.steps"],
        "Data and other inputs": ["finetune.data", "test set.count"],
        "Code": ["finetune.commit"],
        "Plug-ins": ["finetune.files.mine.py", "finetune.versions.v2skit"],
        "Environment": [
            "finetune.distributions.numpy", "finetune.distributions.torch", "finetune.machine.cores",
        ],
        "Scoring": ["fingerprint", "protocol", "sample_rate"],
        "Scores": ["pretrained.estoi"],
    }  # fmt: skip
    assert main(["diff", *map(str, two)]) == 0
    out = capsys.readouterr().out
    assert "| finetune.steps | 10 | 20 |" in out and "| pretrained.estoi | 0.4 | 0.5 |" in out
    assert "The same" not in out and "source" not in out


def test_a_record_that_is_missing_is_said_and_no_experiment_is_an_error(two, tmp_path, capsys):
    (two[0] / "results.json").unlink()
    for name in ("environment.json", "machine.json"):
        (two[0] / "finetune" / name).unlink()
    assert main(["diff", *map(str, two)]) == 0
    out = capsys.readouterr().out
    assert (
        out.count(f"No record in {two[0]}.") == 4
        and "## Code\n\nNo record" in out
        and "## Environment\n\nNo record" in out
    )
    assert main(["diff", str(two[0]), str(tmp_path)]) == 1
    assert "is no experiment" in capsys.readouterr().err
    (two[0] / "finetune/config.yaml").write_text("{")
    assert main(["diff", *map(str, two)]) == 1
    assert "config.yaml is not valid YAML" in capsys.readouterr().err
