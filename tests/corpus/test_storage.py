from __future__ import annotations

import errno
import os

import pytest

from lc_data.corpus import storage


@pytest.mark.parametrize("scheme", ["local", "memory"])
def test_a_file_is_written_read_listed_and_removed(scheme, tmp_path):
    root = str(tmp_path / "a") if scheme == "local" else f"memory://{tmp_path.name}"
    uri = storage.join(root, "b", "c.bin")
    assert not storage.exists(uri)
    storage.write_atomic(uri, b"hello")
    assert storage.read_bytes(uri) == b"hello"
    assert storage.size_bytes(uri) == 5
    assert storage.map_input(uri).read() == b"hello"
    assert storage.list_files(storage.join(root, "b")) == ["c.bin"]
    assert storage.list_files(storage.join(root, "none")) == []
    storage.remove_file(uri)
    storage.remove_file(uri)
    assert not storage.exists(uri)
    storage.write_atomic(uri, b"again")
    storage.remove_tree(root)
    storage.remove_tree(root)
    assert not storage.exists(uri)


@pytest.mark.parametrize("scheme", ["local", "memory"])
def test_a_failed_write_leaves_the_old_file_and_no_temporary(scheme, tmp_path):
    root = str(tmp_path) if scheme == "local" else f"memory://{tmp_path.name}"
    uri = storage.join(root, "file")
    storage.write_atomic(uri, b"old")

    def fail() -> None:
        with storage.create(uri) as file:
            file.write(b"half")
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with pytest.raises(OSError, match="No space left"):
        fail()
    assert storage.read_bytes(uri) == b"old"
    assert storage.list_files(root) == ["file"]
    if scheme == "local":
        assert os.listdir(tmp_path) == ["file"]


def test_what_a_killed_writer_left_is_invisible_and_can_be_swept(tmp_path):
    left = tmp_path / "shards" / f"x.arrow{storage.TEMPORARY_MARK}123"
    left.parent.mkdir()
    left.write_bytes(b"half")
    assert storage.list_files(str(left.parent)) == []
    storage.remove_temporaries(str(tmp_path), below=False)
    assert left.exists()
    storage.remove_temporaries(str(tmp_path))
    assert not left.exists()
