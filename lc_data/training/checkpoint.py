"""Checkpoints: every rank's part of model and optimizer through torch's distributed checkpoint, and a JSON state.

A checkpoint is written as ``step-000010.tmp`` and renamed when it is whole, so a folder with a final name is complete
by construction; its state also lists every file's size, so a copy that was cut short is noticed. ``latest`` names the
newest for people and scripts. Tensors are read with torch's weights-only reader, and the index of the checkpoint, which
torch pickles, through an unpickler that knows only the classes of such an index: loading never runs code from a file.
"""

from __future__ import annotations

import json
import os
import pickle
import shutil
import warnings
from pathlib import Path
from typing import IO, Any

from torch import Tensor
from torch.distributed.checkpoint.api import CheckpointException
from torch.distributed.checkpoint.filesystem import FileSystemReader, FileSystemWriter
from torch.distributed.checkpoint.metadata import Metadata, StorageMeta
from torch.distributed.checkpoint.state_dict_loader import load
from torch.distributed.checkpoint.state_dict_saver import save

from lc_data.corpus.storage import write_atomic
from lc_data.failure import Failure
from lc_data.training.ranks import Ranks

_STATE = "state.json"
_INDEX = ".metadata"
_INDEX_CLASSES = {
    "collections": {"OrderedDict"},
    "pathlib": {"PosixPath"},
    "pathlib._local": {"PosixPath"},
    "torch": {"Size"},
    "torch.serialization": {"_get_layout"},
    "torch.distributed.checkpoint.filesystem": {"_StorageInfo", "_StoragePrefix"},
    "torch.distributed.checkpoint.metadata": {
        "ChunkStorageMetadata", "Metadata", "MetadataIndex", "StorageMeta", "TensorProperties", "TensorStorageMetadata",
        "_MEM_FORMAT_ENCODING",
    },
}  # fmt: skip
_DTYPES = {"bfloat16", "float16", "float32", "float64", "int64", "int32"}


def save_checkpoint(folder: Path, tensors: dict[str, Tensor], state: dict[str, Any], ranks: Ranks, keep: int) -> Path:
    """Write ``folder/step-<state["step"]>`` on all ranks together and remove all but the ``keep`` newest.

    Args:
        folder: where the checkpoints of one training stand; a file system that all ranks share.
        tensors: by name; sharded tensors are written by the ranks that hold them.
        state: what else there is to know, as JSON; ``step`` names the checkpoint.
        ranks: the processes that take part.
        keep: checkpoints to leave on disk.

    """
    final = folder / f"step-{state['step']:06d}"
    temporary = final.with_suffix(".tmp")
    if ranks.is_first:
        for old in (temporary, final):
            if old.exists():
                shutil.rmtree(old)
        temporary.mkdir(parents=True)
    ranks.barrier()
    save(dict(tensors), storage_writer=FileSystemWriter(temporary))
    ranks.barrier()
    if ranks.is_first:
        files = {path.name: path.stat().st_size for path in sorted(temporary.iterdir())}
        write_atomic(str(temporary / _STATE), json.dumps({**state, "files": files}, indent=1).encode())
        temporary.rename(final)
        _flush_folder(folder)
        write_atomic(str(folder / "latest"), f"{final.name}\n".encode())
        for old in _named(folder)[:-keep]:
            shutil.rmtree(old)
    ranks.barrier()
    return final


def newest_checkpoint(folder: Path) -> Path | None:
    """The newest whole checkpoint, or None. One that lacks bytes is passed over with a warning that names it."""
    for path in reversed(_named(folder)):
        fault = _fault(path)
        if fault is None:
            return path
        warnings.warn(f"{path} is damaged ({fault}) and is not used", stacklevel=2)
    return None


def read_state(path: Path) -> dict[str, Any]:
    """The JSON state of a checkpoint."""
    return json.loads((path / _STATE).read_text(encoding="utf-8"))


def load_tensors(path: Path, tensors: dict[str, Tensor]) -> None:
    """Fill tensors, in place, from a checkpoint that any number of ranks wrote.

    Raises :class:`Failure` when a tensor is missing or has another shape, or when the index is not just an index.
    """
    try:
        load(dict(tensors), storage_reader=_IndexOnlyReader(path))
    except CheckpointException as error:  # torch derives it from BaseException, which nobody expects to catch
        causes = "; ".join(str(cause) for cause, _ in error.failures.values())
        raise Failure(f"the checkpoint {path} cannot be loaded: {causes}") from error


class _IndexOnlyReader(FileSystemReader):
    """torch's reader with its unrestricted ``pickle.load`` of the index replaced."""

    def read_metadata(self, *args: Any, **kwargs: Any) -> Metadata:
        with (Path(self.path) / _INDEX).open("rb") as file:
            metadata = _IndexUnpickler(file).load()
        if not isinstance(metadata, Metadata):
            raise pickle.UnpicklingError(f"{self.path}/{_INDEX} is not the index of a checkpoint")
        metadata.storage_meta = metadata.storage_meta or StorageMeta()
        metadata.storage_meta.load_id = self.load_id
        return metadata


class _IndexUnpickler(pickle.Unpickler):
    def __init__(self, file: IO[bytes]) -> None:
        super().__init__(file)

    def find_class(self, module: str, name: str) -> Any:
        if name in _INDEX_CLASSES.get(module, ()) or (module == "torch" and name in _DTYPES):
            return super().find_class(module, name)
        raise pickle.UnpicklingError(f"the index of a checkpoint names {module}.{name}, which is no part of one")


def _named(folder: Path) -> list[Path]:
    whole = (path for path in folder.glob("step-*") if path.suffix != ".tmp")
    return sorted(whole, key=lambda path: int(path.name.removeprefix("step-")))


def _fault(path: Path) -> str | None:
    try:
        files = read_state(path)["files"]
    except (OSError, ValueError, KeyError) as error:
        return f"{_STATE}: {error}"
    for name, size in files.items():
        found = (path / name).stat().st_size if (path / name).is_file() else None
        if found != size:
            return f"{name} has {found} of {size} bytes"
    return None


def _flush_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
