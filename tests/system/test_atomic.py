"""A folder that is set aside comes back, or is deleted."""

import pytest

from v2skit.system.atomic import delete_aside, put_back, set_aside


@pytest.fixture(params=[False, True], ids=["folder", "link"])
def folder(request, tmp_path):
    """A folder with a file, or a symbolic link to one."""
    target = tmp_path / "elsewhere/run" if request.param else tmp_path / "run"
    target.mkdir(parents=True)
    (target / "old").touch()
    if request.param:
        (tmp_path / "run").symlink_to(target)
    return tmp_path / "run"


def names(folder) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_a_folder_that_is_set_aside_comes_back(folder):
    set_aside(folder)
    folder.mkdir(exist_ok=True)
    assert names(folder) == []
    (folder / "new").touch()
    put_back(folder)
    put_back(folder)
    assert names(folder) == ["old"] and names(folder.resolve().parent) == ["run"]


def test_a_folder_that_is_set_aside_is_deleted(folder):
    set_aside(folder)
    folder.mkdir(exist_ok=True)
    (folder / "new").touch()
    for end in (delete_aside, put_back, delete_aside):
        end(folder)
        assert names(folder) == ["new"] and names(folder.resolve().parent) == ["run"]


def test_no_folder_needs_no_setting_aside(tmp_path):
    for step in (set_aside, put_back, delete_aside):
        step(tmp_path / "run")
    assert names(tmp_path) == []
