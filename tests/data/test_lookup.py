"""Binary search in sorted tables."""

import pytest

from v2skit.data.lookup import Lookup


@pytest.mark.parametrize("count", [1, 2, 3, 50, 333])
@pytest.mark.parametrize("ends", ["\n", ""])
def test_every_key_is_found_and_no_other(tmp_path, count, ends):
    table = {f"s{n % 7}-{n * 37 % 1000}{'é' * (n % 3)}": f"a b/{n}.ark:{n}" for n in range(count)}
    lines = [f"{key} {value}" for key, value in sorted(table.items())]
    (tmp_path / "table").write_text("\n".join(lines) + ends, encoding="utf-8")
    lookup = Lookup(tmp_path / "table")
    assert {key: lookup.get(key) for key in table} == table
    for other in ("", "a", "s", "s3-", "z", *(f"{key}0" for key in table)):
        assert other in table or lookup.get(other) is None
