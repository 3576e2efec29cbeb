"""The record of a run: what it depends on is compared, whatever version wrote it."""

import pytest
import yaml

from v2skit.config.load import load_config, to_tree
from v2skit.errors import UserError
from v2skit.models import checkpoint
from v2skit.recipes import run_record
from v2skit.system import environment
from v2skit.system.provenance import Difference

DEPENDS = ("seed", "pretrain")
MADE_FROM = {"data": {"train": "0123456789ab"}, "init": None}
LOGGER = """import v2skit


class Mine:
    def start(self, run, name, step, config):
        pass

    def log(self, step, kind, values):
        pass

    def close(self, status):
        pass


@v2skit.hookimpl
def register_components(register):
    register("logger", "mine", ":Mine")
"""


@pytest.fixture
def run(tmp_path, tiny):
    run_record.claim(tmp_path / "run", load_config(tiny), MADE_FROM, force=False)
    return tmp_path / "run"


def rewrite(run, change):
    tree = yaml.safe_load((run / run_record.NAME).read_text())
    change(tree)
    (run / run_record.NAME).write_text(yaml.safe_dump(tree))


def test_keys_that_a_run_depends_on_are_compared(run, tiny, tmp_path):
    run_record.check(run, load_config(tiny), DEPENDS, MADE_FROM)
    run_record.check(tmp_path / "new", load_config(tiny, ["seed=7"]), DEPENDS, MADE_FROM)  # without a record
    others = ["finetune.steps=9", "pretrain.workers=3", "mel.f_max=8000"]  # another run's, the machine's, not listed
    run_record.check(run, load_config(tiny, others), DEPENDS, MADE_FROM)
    with pytest.raises(UserError, match="pretrain.steps: 4 there, 9 now; seed: 1 there, 7 now") as error:
        run_record.check(run, load_config(tiny, ["seed=7", "pretrain.steps=9"]), DEPENDS, MADE_FROM)
    assert error.value.fields["differences"] == [Difference("pretrain.steps", 4, 9), Difference("seed", 1, 7)]


def test_inputs_are_compared_where_they_are_known(run, tiny):
    run_record.check(run, load_config(tiny), DEPENDS, {})
    run_record.check(run, load_config(tiny), DEPENDS, {"data.train": "0123456789ab"})
    with pytest.raises(UserError, match=r"\(train has other utterances or files now\); .*--force"):
        run_record.check(run, load_config(tiny), DEPENDS, {"data.train": "ba9876543210"})
    with pytest.raises(UserError, match="made_from.init: None there, 0123456789ab now"):
        run_record.check(run, load_config(tiny), DEPENDS, {"init": "0123456789ab"})


def test_records_of_earlier_versions_are_read(run, tiny):
    def earlier(tree):
        del tree["pretrain"]["rank_timeout_seconds"]  # has a default now
        tree["made_from"] = {"step": 4, "digest": "0123456789ab"}

    rewrite(run, earlier)
    run_record.check(run, load_config(tiny), (*DEPENDS, "pretrain"), {"pretrained": "0123456789ab"})
    with pytest.raises(UserError, match="the pre-trained model is another one now"):
        run_record.check(run, load_config(tiny), DEPENDS, {"pretrained": "ba9876543210"})
    rewrite(run, lambda tree: tree["pretrain"].update(no_longer_there=1))
    with pytest.raises(UserError, match="pretrain.no_longer_there: 1 there, None now"):
        run_record.check(run, load_config(tiny), DEPENDS, {})


@pytest.mark.parametrize("content", ["seed: [", "- a list"])
def test_a_damaged_record_is_named(run, tiny, content):
    (run / run_record.NAME).write_text(content)
    with pytest.raises(UserError, match=rf"(?s){run_record.NAME} is damaged .*; --force repeats"):
        run_record.check(run, load_config(tiny), DEPENDS, {})


def test_force_empties_the_folder(run, tiny):
    (run / "log.jsonl").touch()
    run_record.claim(run, load_config(tiny), {}, force=False)
    assert (run / "log.jsonl").exists()
    run_record.claim(run, load_config(tiny), {}, force=True)
    assert sorted(path.name for path in run.iterdir()) == [run_record.NAME, environment.NAME]


CHANGES_BATCHES = "\n\n@v2skit.hookimpl\ndef process_batch(batch):\n    return batch\n"


@pytest.mark.parametrize("hook", ["", CHANGES_BATCHES])
def test_a_file_with_a_logger_may_change_unless_it_changes_batches(tmp_path, tiny, hook):
    file, sets = tmp_path / "mine.py", [f"plugins=[{tmp_path / 'mine.py'}]", "loggers.mine={type: mine}"]
    file.write_text(LOGGER + hook)
    stored = checkpoint.Meta("a2a", 0, to_tree(load_config(tiny, sets)), {}, [], {})
    file.write_text(LOGGER + hook + "# changed\n")
    now = load_config(tiny, sets)
    if hook:
        with pytest.raises(UserError, match=r"the checkpoint was made with another version of plug-in mine.py"):
            run_record.check_plugins(stored, now, "the checkpoint")
    else:
        run_record.check_plugins(stored, now, "the checkpoint")
