"""tools/install.sh where two checkouts share an environment: it has the v2skit of the one that installed last."""

from __future__ import annotations

import shutil

from tests.tools.test_install import Place


def test_the_environment_of_another_checkout_is_not_up_to_date(tmp_path):
    place = Place(tmp_path)
    venv = {"V2SKIT_VENV": str(tmp_path / "shared")}
    first, second = place.checkout, tmp_path / "another checkout"
    shutil.copytree(first, second)
    for checkout in (first, second, first):
        place.checkout = checkout
        result = place.install(**venv)
        assert result.returncode == 0, result.stderr
        assert f"--editable {checkout}[test]" in " ".join(place.said())
        assert place.install(**venv).returncode == 0 and place.said() == []
