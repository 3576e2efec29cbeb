"""Sections that plug-ins add to the results of stage 6."""

import json

import v2skit
from tests.conftest import stages
from tests.registry.installed import installed


class Counting:
    """A section with the number of rows of the results, and of the times that it was made."""

    calls = 0

    @v2skit.hookimpl
    def report_section(self, exp):
        self.calls += 1
        rows = json.loads((exp / "results.json").read_text())["rows"]
        return f"## Rows\n\n{len(rows)} rows, section {self.calls}.\n"


class Broken:
    @v2skit.hookimpl
    def report_section(self):
        raise KeyError("it")


def test_sections_are_at_the_end_of_the_results(mel_run, recipe_folder, tiny, capsys):
    sets, results = ("scratch=false",), recipe_folder / "exp/tiny/results.md"
    assert stages(recipe_folder, tiny, "synth", "score", sets=sets) == 0
    plain = results.read_text()
    with installed(broken=Broken(), mine=Counting()):
        for number in (1, 2):  # the second time, the scores are there already
            capsys.readouterr()
            assert stages(recipe_folder, tiny, "score", sets=sets) == 0
            added = results.read_text().removeprefix(plain)
            assert added.startswith("\n## Plug-in 'broken'\n\nhook report_section of plug-in 'broken' failed: KeyError")
            assert added.endswith(f".\n\n## Rows\n\n3 rows, section {number}.\n") and added.count("##") == 2
            assert added in capsys.readouterr().out
    assert stages(recipe_folder, tiny, "score", sets=sets) == 0
    assert results.read_text() == plain
