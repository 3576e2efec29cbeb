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


def is_own(name: str) -> bool:
    return name in ("old", "new")


def names(folder) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_a_folder_that_is_set_aside_comes_back(folder):
    set_aside(folder, is_own)
    folder.mkdir(exist_ok=True)
    assert names(folder) == []
    (folder / "new").touch()
    put_back(folder, is_own)
    put_back(folder, is_own)
    assert names(folder) == ["old"] and names(folder.resolve().parent) == ["run"]


def test_a_folder_that_is_set_aside_is_deleted(folder):
    set_aside(folder, is_own)
    folder.mkdir(exist_ok=True)
    (folder / "new").touch()
    for end in (delete_aside, put_back, delete_aside):
        end(folder, is_own)
        assert names(folder) == ["new"] and names(folder.resolve().parent) == ["run"]


def test_no_folder_needs_no_setting_aside(tmp_path):
    for step in (set_aside, put_back, delete_aside):
        step(tmp_path / "run", is_own)
    assert names(tmp_path) == []


def test_a_killed_repetition_loses_nothing(folder):
    set_aside(folder, is_own)
    folder.mkdir(exist_ok=True)
    (folder / "new").touch()  # and killed
    set_aside(folder, is_own)  # of the next repetition
    folder.mkdir(exist_ok=True)
    (folder / "new").touch()
    put_back(folder, is_own)  # as it could not start
    assert names(folder) == ["old"] and names(folder.resolve().parent) == ["run"]


@pytest.mark.parametrize("end", ["delete", "put back", "killed", "can't be renamed"])
def test_files_of_others_are_kept(folder, monkeypatch, end):
    (folder / "thesis").mkdir()
    (folder / "thesis/chapter.tex").write_text("all of it")
    (folder / "link").symlink_to(folder / "thesis")
    if end == "can't be renamed":
        monkeypatch.setattr("pathlib.Path.rename", lambda path, target: (path / "absent").rmdir())
    set_aside(folder, is_own)
    monkeypatch.undo()
    folder.mkdir(exist_ok=True)
    (folder / "new").touch()
    (folder / "plug-in").touch()
    if end == "put back":
        put_back(folder, is_own)
    elif end == "killed":
        set_aside(folder, is_own)  # of the next run, before which nothing was put back
    else:
        delete_aside(folder, is_own)
    delete_aside(folder, is_own)
    assert (folder / "thesis/chapter.tex").read_text() == "all of it" and (folder / "link").is_symlink()
    own = {"delete": ["new"], "can't be renamed": ["new"], "put back": ["old"], "killed": []}[end]
    assert names(folder) == sorted([*own, "link", "plug-in", "thesis"])
    assert names(folder.resolve().parent) == ["run"]
