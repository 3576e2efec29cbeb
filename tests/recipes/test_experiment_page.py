"""Stage 6 writes the report of its experiment and names it last; training runs record their machine for it."""

import json

from tests.conftest import stages


def test_stage_6_ends_with_the_report(mel_run, recipe_folder, tiny, capsys):
    page = recipe_folder / "exp/tiny/report.html"
    assert stages(recipe_folder, tiny, "synth", "score", sets=("scratch=false",)) == 0
    assert capsys.readouterr().out.splitlines()[-1] == f"report: {page}"
    text, written = page.read_text(encoding="utf-8"), page.stat().st_mtime_ns
    machine = json.loads((mel_run / "machine.json").read_text())
    assert machine["device"] == "cpu" and machine["cores"] > 0
    assert f"torch {machine['torch']}" in text and text.count('class="clip"') == 2  # the third is too short for ESTOI
    assert stages(recipe_folder, tiny, "score", sets=("scratch=false",)) == 0
    assert page.stat().st_mtime_ns == written
    page.unlink()
    assert stages(recipe_folder, tiny, "score", sets=("scratch=false",)) == 0 and page.exists()
