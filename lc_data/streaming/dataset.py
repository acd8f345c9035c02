"""The packed corpus as a torch dataset.

A stream is a pure function of (plan, packs consumed): no shuffle buffer, no cursor, no worker state, nothing that a
resume could lose. Packs are filled from mapped shards faster than any model eats them, so the default is no worker
process and one thread that reads ahead; worker processes are supported for who needs them.
"""

from __future__ import annotations

import os
from collections.abc import Generator, Iterator, Mapping
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from torch.utils.data import IterableDataset, get_worker_info

from lc_data.corpus import storage
from lc_data.corpus.local_copies import LocalCopies
from lc_data.corpus.run import RunFolder
from lc_data.failure import Failure
from lc_data.packing.fill import Pack
from lc_data.recipe.packing import Mask
from lc_data.streaming.prefetch import Prefetch
from lc_data.streaming.reader import PackReader, Verify
from lc_data.streaming.state import StreamState, load_state
from lc_data.streaming.topology import Topology
from lc_data.streaming.wire import Row
from lc_data.streaming.worker_state import WorkerProgress, stream_of_worker, worker_state


class PackedDataset(IterableDataset[dict[str, Any]]):
    """The packs of one plan of a run, in the plan's order, for one rank.

    Each item is a dict of one row of exactly ``seq_len`` tokens: ``input_ids``, ``labels`` (unshifted; -100 at the
    first token of each segment, at padding and where no loss is taken) and ``position_ids``, int64 [seq_len];
    ``cu_seqlens``, int32 [segments + 1], from 0 to seq_len; ``max_seqlen``, int; ``document_ids``, ``part_ids`` and
    ``domain_ids``, int64 [segments], -1 for padding; ``pack_index``, int. See ``lc_data.packing.fill.Pack``. The rows
    of a plan with ``mask: none`` are one segment, and padding; they also have ``piece_cu_seqlens``,
    ``piece_document_ids``, ``piece_part_ids`` and ``piece_domain_ids``, which are the same of every document's piece.
    The rows of a plan with ``mask: anchor`` begin with one token that all documents of the row are to see: segment 0,
    of length 1 and with the id -2. It is no target and predicts none; where positions restart, documents begin at 1.

    Iterating goes on at the stream's position: 0 at first, or what :meth:`load_state_dict` set. All ranks yield the
    same number of packs; the last ``trailing_packs`` (fewer than ``world_size``) are not consumed, and are still there
    for a resume with fewer ranks. A stream is one pass over its plan (repeats of documents are in the plan); for
    another pass load ``state_at(0)``. Only a DataLoader with worker processes, which each take a copy of this object,
    begins again where this object stands every time it is iterated: end the loop with the plan.

    In a DataLoader pass ``batch_size=None``; or, with a batch size, tell it here too and collate with
    :func:`lc_data.streaming.collate.join_packs`. Worker processes share out the rank's packs so that the loader hands
    them out in the rank's order.

    Raises ``ManifestError`` for a run that has not been packed, ``PlanError`` for a plan that is missing or stale, and
    a ``Failure`` for a ``seq_len`` that is not the plan's.
    """

    def __init__(  # noqa: PLR0913 - the public surface: five that say what is read, four that say how
        self,
        run: str | os.PathLike[str],
        rank: int = 0,
        world_size: int = 1,
        seq_len: int | None = None,
        plan: str = "pretrain",
        *,
        batch_size: int = 1,
        prefetch: int = 2,
        verify: Verify = "checksum",
        copies: LocalCopies | None = None,
    ) -> None:
        """Open a run by path or URI.

        ``seq_len`` is checked against the plan when given. ``plan`` is ``pretrain``, ``sft`` or ``held_out``.
        ``batch_size`` is that of the DataLoader around it, and matters only with worker processes. ``prefetch`` is how
        many packs a thread reads ahead, 0 for no thread; worker processes never start one. ``verify`` is ``checksum``
        (tokens are checked before they are served, once) or ``size`` (sizes and footers only). ``copies`` is
        where the shards of a remote run are kept on this machine, ``LocalCopies.default()`` if nothing is said.
        """
        super().__init__()
        if prefetch < 0:
            raise ValueError(f"prefetch must be 0 or more packs, got {prefetch}")
        self._topology = Topology(rank, world_size, batch_size=batch_size)
        self._prefetch = prefetch
        self._reader = PackReader.open(_folder(run, copies), plan, verify)
        if seq_len is not None and seq_len != self.seq_len:
            raise Failure(
                f"seq_len {seq_len} was asked for, but {run} is packed at {self.seq_len} (plan {plan!r}): pass "
                f"seq_len={self.seq_len}, or pack again with -o pack.seq_len={seq_len}"
            )
        self._identity = StreamState(
            fingerprint=self._reader.fingerprint,
            plan_hash=self._reader.plan.plan_hash,
            seq_len=self.seq_len,
            consumed=0,
        )
        self._consumed = 0
        self._progress: WorkerProgress | None = None

    @property
    def seq_len(self) -> int:
        """Tokens in a pack."""
        return self._reader.plan.seq_len

    @property
    def mask(self) -> Mask:
        """What tokens are to see, as the recipe's ``pack.mask`` says: ``document``, ``none`` or ``anchor``."""
        return self._reader.plan.facts.mask

    @property
    def packs(self) -> int:
        """Packs in the whole plan, over all ranks."""
        return self._reader.plan.packs

    @property
    def packs_left(self) -> int:
        """Packs that this rank has still to yield, the same for all ranks."""
        return self._topology.packs_per_rank(self._consumed, self.packs)

    @property
    def trailing_packs(self) -> int:
        """Packs at the end of the plan that no rank yields from the present position on: fewer than ``world_size``."""
        return (self.packs - self._consumed) % self._topology.world_size

    def pack(self, index: int) -> dict[str, Any]:
        """Any pack of the plan by its global index, whatever the rank and the position; IndexError outside the plan."""
        return _as_tensors(self._reader.read(index))

    def tokens(self, index: int) -> torch.Tensor:
        """The tokens alone of any pack, int32 [seq_len]: ``input_ids`` of :meth:`pack`, at a sixth of the bytes."""
        return torch.from_numpy(self._reader.read_tokens(index))

    def __iter__(self) -> Iterator[dict[str, Any]]:
        topology = self._topology_here()
        rows = (self.pack(index) for index in topology.packs(self._consumed, self.packs))
        if get_worker_info() is None:
            return self._count(rows)
        self._progress = WorkerProgress(topology, self._consumed, self.packs)
        return self._progress.count(rows)

    def state_dict(self) -> dict[str, Any]:
        """The position: ``{version, fingerprint, plan_hash, seq_len, consumed}``, ready for JSON.

        ``consumed`` counts packs over all ranks: each pack that this rank was handed counts ``world_size``, read-ahead
        does not count. It is therefore exact where all ranks have taken equally many packs, which is so at every
        optimizer step. A DataLoader with worker processes hands out packs that this object never sees; there the
        trainer, which knows what it took, saves ``state_at(consumed)``, or torchdata's StatefulDataLoader asks every
        worker for the state of its part.
        """
        if get_worker_info() is None:
            return self.state_at(self._consumed)
        consumed = self._consumed if self._progress is None else self._progress.consumed
        return worker_state(self.state_at(consumed), self._topology_here())

    def state_at(self, consumed: int) -> dict[str, Any]:
        """The state of this stream when so many packs have been consumed over all ranks."""
        state = self._identity.model_copy(update={"consumed": consumed}).model_dump()
        load_state(state, self._identity, self.packs)
        return state

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Continue from a state, whatever world size, workers and batch size it was saved with.

        In a worker process it is the state that this worker saved. Raises ``StreamStateError`` when the state belongs
        to another corpus, plan, seq_len or format, or to a worker that is not this process.
        """
        if get_worker_info() is not None or "worker" in state:
            state = stream_of_worker(state, self._topology_here())
            self._progress = None
        self._consumed = load_state(state, self._identity, self.packs, self._reader.plan.changed_since)

    def _topology_here(self) -> Topology:
        """The topology of this process, which may be a DataLoader's worker."""
        info = get_worker_info()
        return self._topology if info is None else replace(self._topology, worker=info.id, workers=info.num_workers)

    def _count(self, rows: Generator[dict[str, Any], None, None]) -> Iterator[dict[str, Any]]:
        """Rows as they are, read ahead, each counted when it is handed out."""
        position = self._consumed
        with closing(Prefetch(rows, self._prefetch) if self._prefetch else rows) as ahead:
            for row in ahead:
                position += self._topology.world_size
                self._consumed = position
                yield row


def _folder(run: str | os.PathLike[str], copies: LocalCopies | None) -> RunFolder:
    """The run; only a remote one needs copies, and with them a home: a container's user may have none."""
    uri = os.fspath(run)
    if not storage.is_local(uri):
        return RunFolder(uri, copies or LocalCopies.default())
    return RunFolder(uri if uri.startswith("file://") else str(Path(uri).absolute()))


def _as_tensors(pack: Pack) -> Row:
    """The arrays of a pack as tensors over the same memory."""
    row = Row(
        input_ids=torch.from_numpy(pack.input_ids),
        labels=torch.from_numpy(pack.labels),
        position_ids=torch.from_numpy(pack.position_ids),
        cu_seqlens=torch.from_numpy(pack.cu_seqlens),
        max_seqlen=pack.max_seqlen,
        document_ids=torch.from_numpy(pack.document_ids),
        part_ids=torch.from_numpy(pack.part_ids),
        domain_ids=torch.from_numpy(pack.domain_ids),
        pack_index=pack.pack_index,
    )
    if pack.pieces is not None:
        row |= {f"piece_{name}": torch.from_numpy(values) for name, values in vars(pack.pieces).items()}
    return row
