"""A small packed run, written by hand through the writers of the corpus, with what it holds kept beside it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from itertools import groupby
from pathlib import Path

import numpy as np
import pyarrow as pa
import xxhash

from lc_data.corpus import storage
from lc_data.corpus.fingerprint import file_checksum
from lc_data.corpus.ledger import Ledger
from lc_data.corpus.manifest import Manifest, write_manifest
from lc_data.corpus.run import RunFolder
from lc_data.corpus.shard import WrittenTable
from lc_data.corpus.tokenized import TokenizerInfo, token_type
from lc_data.corpus.tokenized_writer import Stratum, TokenizedDocuments, span_lists, write_index, write_tokenized
from lc_data.packing.plan import PlanBlock, plan_hash

PAD_ID = 1


@dataclass(frozen=True)
class Document:
    """A tokenised document as a test thinks of it."""

    id: str
    domain: str
    tokens: list[int]
    spans: list[tuple[int, int]] | None = None


@dataclass
class PackedRun:
    """A run folder together with its documents and plans."""

    folder: Path
    documents: list[Document]
    vocab_size: int = 5000
    shard_documents: int = 3
    plans: dict[str, dict] = field(default_factory=dict)
    blocks: dict[str, list[PlanBlock]] = field(default_factory=dict)
    tokenizer_hash: str = "t" * 32
    upstream: dict[str, str] = field(default_factory=dict)
    eos_id: int | None = None

    @property
    def run(self) -> RunFolder:
        return RunFolder(str(self.folder))

    @property
    def domains(self) -> list[str]:
        return sorted({document.domain for document in self.documents})

    @property
    def lengths(self) -> np.ndarray:
        return np.array([len(document.tokens) for document in self.documents], np.int64)

    def shard_file(self, number: int) -> Path:
        return self.folder / "bucket" / self.run.stage("bucket").manifest().shards[number].file

    def write_bucket(self) -> None:
        """Tokenised shards of one domain each, their index and their manifest."""
        folder = self.run.stage("bucket").uri
        info = TokenizerInfo("test", "tokenizer.json", self.tokenizer_hash, self.vocab_size, None, self.eos_id, PAD_ID)
        entries, first = [], 0
        for number, shard in enumerate(_shards(self.documents, self.shard_documents)):
            target = WrittenTable(folder, f"shards/shard-{number:05d}.arrow")
            entry = write_tokenized(
                target, _columns(shard, self.vocab_size), Stratum(shard[0].domain, 0), info, self.domains
            )
            entry.facts["first_document"] = first
            entries.append(entry)
            first += len(shard)
        codes = np.array([self.domains.index(document.domain) for document in self.documents])
        index = write_index(folder, self.lengths, codes, np.zeros(len(codes)))
        facts = {
            "tokenizer": asdict(info),
            "domains": self.domains,
            "purposes": dict.fromkeys(self.domains, "pretrain"),
            "edges_tokens": [1 << 20],
            "vocab_size": self.vocab_size,
        }
        manifest = Manifest(
            stage="bucket", fingerprint=self.bucket_fingerprint, upstream=self.upstream, shards=entries, extra=[index],
            ledger=Ledger(), seed=0, facts=facts,
        )  # fmt: skip
        write_manifest(self.run.stage("bucket").manifest_uri, manifest)

    @property
    def bucket_fingerprint(self) -> str:
        return xxhash.xxh3_128_hexdigest(repr(self.documents))

    def write_plan(self, purpose: str, seq_len: int, blocks: Sequence[PlanBlock], **facts: str) -> None:
        """The blocks of one purpose, and the pack manifest with every plan written so far."""
        folder = self.run.stage("pack")
        entries = []
        for number, block in enumerate(blocks):
            file = f"plan/{purpose}/block-{number:05d}.arrow"
            with storage.create(folder.file(file)) as sink, pa.ipc.new_file(sink, block.to_table().schema) as writer:
                writer.write_table(block.to_table())
            entries.append({
                "file": file,
                "first_pack": block.first_pack,
                "packs": block.packs,
                "pieces": block.pieces,
                "checksum": file_checksum(folder.file(file)),
            })  # fmt: skip
        self.blocks[purpose] = list(blocks)
        self.plans[purpose] = {
            "seq_len": seq_len,
            "packs": sum(block.packs for block in blocks),
            "plan_hash": plan_hash(blocks, seq_len),
            "global_batch_packs": 2,
            "blocks": entries,
            **facts,
        }
        manifest = Manifest(
            stage="pack", fingerprint="p" * 32, upstream={"bucket": self.bucket_fingerprint}, seed=0,
            facts={"plans": self.plans},
        )  # fmt: skip
        write_manifest(folder.manifest_uri, manifest)


def next_fit(lengths: np.ndarray, seq_len: int, packs_per_block: int, seed: int = 0) -> list[PlanBlock]:
    """A plan without any cleverness: documents in random order, cut at seq_len, a new row when one is full."""
    rows: list[tuple[int, int, int, int, int, int]] = []
    pack, used, place = 0, 0, 0
    for document in np.random.default_rng(seed).permutation(len(lengths)).tolist():
        for part, start in enumerate(range(0, int(lengths[document]), seq_len)):
            length = min(seq_len, int(lengths[document]) - start)
            if used + length > seq_len:
                pack, used, place = pack + 1, 0, 0
            rows.append((pack, document, start, length, part, place))
            used, place = used + length, place + 1
    grouped = groupby(rows, key=lambda row: row[0] // packs_per_block)
    columns = ([np.array(column) for column in zip(*group, strict=True)] for _, group in grouped)
    return [PlanBlock(*columns_of_block) for columns_of_block in columns]


def random_documents(count: int, seed: int, longest: int, vocab_size: int = 5000) -> list[Document]:
    """Documents of two domains, 1 to ``longest`` tokens, in order of domain."""
    rng = np.random.default_rng(seed)
    lengths = rng.integers(1, longest + 1, count).tolist()
    return [
        Document(f"doc-{n}", "code" if n < count // 3 else "web", rng.integers(2, vocab_size, length).tolist())
        for n, length in enumerate(lengths)
    ]


def _shards(documents: list[Document], size: int) -> list[list[Document]]:
    shards = []
    for _, group in groupby(documents, key=lambda document: document.domain):
        members = list(group)
        shards += [members[at : at + size] for at in range(0, len(members), size)]
    return shards


def _columns(shard: list[Document], vocab_size: int) -> TokenizedDocuments:
    dtype = token_type(vocab_size).to_pandas_dtype()
    return TokenizedDocuments(
        ids=pa.array([document.id for document in shard]),
        tokens=np.array([token for document in shard for token in document.tokens], dtype),
        lengths=np.array([len(document.tokens) for document in shard], np.uint32),
        target_spans=span_lists([document.spans for document in shard]),
        text_bytes=0,
    )
