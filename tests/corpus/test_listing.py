from __future__ import annotations

import os
from pathlib import Path

import pytest

from lc_data.corpus.listing import FoundFile, Unusable, find_files, find_folders, stat_file


def wanted(name: str) -> bool:
    return name.endswith(".txt")


def listed(path: Path | str) -> list[str]:
    return [item.path for item in find_files(str(path), wanted) if isinstance(item, FoundFile)]


def unusable(path: Path | str) -> dict[str, str]:
    return {item.path: item.reason for item in find_files(str(path), wanted) if isinstance(item, Unusable)}


def put(root: Path, *names: str) -> None:
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(name)


def test_folders_are_listed_in_path_order(tmp_path: Path) -> None:
    put(tmp_path, "b.txt", "a/z.txt", "a/b/c.txt", "a-b.txt", ".git/x.txt", "a/.x.txt", "n.md")
    assert listed(tmp_path) == ["a-b.txt", "a/b/c.txt", "a/z.txt", "b.txt"]
    assert listed(tmp_path / "n.md") == ["n.md"]  # named directly
    assert listed(tmp_path / "*") == ["a-b.txt", "a/b/c.txt", "a/z.txt", "b.txt", "n.md"]
    assert listed(tmp_path / "**" / "*.txt") == ["a-b.txt", "a/b/c.txt", "a/z.txt", "b.txt"]
    assert listed(tmp_path / "absent") == []


def test_uris_are_absolute_and_versions_change(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    put(tmp_path, "x/a.txt")
    monkeypatch.chdir(tmp_path)
    (item,) = find_files("x", wanted)
    assert isinstance(item, FoundFile)
    assert item.uri == str(tmp_path / "x" / "a.txt")
    assert (item.size_bytes, item.version) == stat_file(item.uri)
    os.utime(item.uri, ns=(1, 1))
    assert stat_file(item.uri) == (item.size_bytes, "1")


def test_names_with_brackets_are_files_before_they_are_patterns(tmp_path: Path) -> None:
    put(tmp_path, "a[1].txt", "a1.txt")
    assert listed(tmp_path / "a[1].txt") == ["a[1].txt"]


def test_symlink_loops_end_and_are_told(tmp_path: Path) -> None:
    put(tmp_path, "a/b/x.txt", "z/y.txt")
    (tmp_path / "a" / "b" / "up").symlink_to(tmp_path / "a", target_is_directory=True)
    (tmp_path / "self.txt").symlink_to(tmp_path / "self.txt")
    (tmp_path / "gone.txt").symlink_to(tmp_path / "nowhere.txt")
    (tmp_path / "again").symlink_to(tmp_path / "z", target_is_directory=True)
    assert listed(tmp_path) == ["a/b/x.txt", "z/y.txt"]
    assert unusable(tmp_path) == {
        "a/b/up": "symlink loop",
        "self.txt": "symlink loop",
        "gone.txt": "dangling symlink",
        "again": "folder reached twice",
    }


def test_links_that_fan_out_are_followed_once(tmp_path: Path) -> None:
    for level in range(20):
        folder = tmp_path / f"d{level}"
        folder.mkdir()
        for side in ("left", "right"):
            (folder / side).symlink_to(tmp_path / f"d{level + 1}", target_is_directory=True)
    (tmp_path / "d20").mkdir()
    put(tmp_path, "d20/x.txt")
    assert len(listed(tmp_path / "d0")) == 1


def test_links_out_of_the_folder_are_followed(tmp_path: Path) -> None:
    put(tmp_path, "elsewhere/x.txt")
    (tmp_path / "root").mkdir()
    (tmp_path / "root" / "in").symlink_to(tmp_path / "elsewhere", target_is_directory=True)
    (tmp_path / "root" / "file.txt").symlink_to(tmp_path / "elsewhere" / "x.txt")
    assert listed(tmp_path / "root") == ["file.txt", "in/x.txt"]


def test_pipes_are_not_opened(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.txt")
    assert unusable(tmp_path) == {"pipe.txt": "not a regular file"}


def test_folders_that_may_not_be_opened_are_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    put(tmp_path, "a/x.txt", "b/y.txt")
    real = os.scandir

    def refuse(path: str | Path):
        if str(path).endswith("/a"):
            raise PermissionError(13, "Permission denied")
        return real(path)

    monkeypatch.setattr(os, "scandir", refuse)
    assert listed(tmp_path) == ["b/y.txt"]
    assert unusable(tmp_path) == {"a": "unreadable folder"}


def test_find_folders_does_not_look_inside(tmp_path: Path) -> None:
    put(tmp_path, "r/one/x.txt", "r/two/y.txt", "r/file")
    assert find_folders(str(tmp_path / "r" / "*")) == [str(tmp_path / "r" / name) for name in ("file", "one", "two")]
    assert find_folders(str(tmp_path / "r")) == [str(tmp_path / "r")]
