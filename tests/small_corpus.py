"""A small bilingual corpus with everything in it that the chain must cope with: long documents, copies, faults."""

from __future__ import annotations

import gzip
import json
import random
from pathlib import Path

from lc_data.recipe.load import parse_recipe
from lc_data.recipe.recipe import Recipe

_SYLLABLES = (
    "ba",
    "co",
    "di",
    "fu",
    "gra",
    "hel",
    "in",
    "jo",
    "kar",
    "lo",
    "mi",
    "nor",
    "os",
    "pe",
    "qua",
    "ri",
    "sta",
)
_STOP = ("the", "of", "and", "to", "that", "with", "have", "be")
_HAN = "天地玄黄宇宙洪荒日月盈昃辰宿列张寒来暑往秋收冬藏闰余成岁律吕调阳云腾致雨露结为霜"

RECIPE = """
name: small
seed: 5
variables: {{corpus: {corpus}}}
sources:
  - {{name: books, kind: jsonl, domain: books, paths: ["${{corpus}}/books.jsonl"]}}
  - {{name: web, kind: jsonl, domain: web, paths: ["${{corpus}}/web.jsonl.gz"]}}
  - {{name: chinese, kind: text, domain: chinese, paths: ["${{corpus}}/chinese"]}}
  - {{name: chats, kind: chat, domain: chats, paths: ["${{corpus}}/chats.jsonl"]}}
ingest: {{max_quarantined_share: 0.2, task_bytes: 60000, shard_bytes: 90000}}
filter:
  rules:
    - {{rule: length, min_bytes: 40}}
    - {{rule: gopher_quality, domains: [web], min_words: 5}}
tokenizer: {{train: {{vocab_size: 600, sample_bytes: 100000}}}}
bucket: {{edges_tokens: [128, 512, 2048], shard_tokens: 20000}}
mixture:
  weights: {{books: 5, web: 3, chinese: 2}}
  lengths: {{mode: per_source, threshold_tokens: 512, long_share: {{web: 0.5}}}}
  held_out: {{share: 0.05, min_documents_per_stratum: 4}}
pack: {{seq_len: 1024, block_packs: 32, global_batch_packs: 8}}
engine: {{backend: serial}}
"""


def write_small_corpus(folder: Path, seed: int = 0) -> None:
    """Write the files that :func:`small_recipe` reads; always the same for a seed."""
    rng = random.Random(seed)
    folder.mkdir(parents=True, exist_ok=True)
    books = [{"id": f"book-{i}", "text": prose(rng, rng.choice([300, 900, 4000]))} for i in range(24)]
    books.append({"id": "book-copy", "text": books[0]["text"]})
    books.append({"id": "book-edition", "text": books[1]["text"] + " the end"})
    lines = [json.dumps(book).encode() for book in books]
    lines.insert(3, b'{"id": "broken", "text": ')
    lines.insert(5, b'{"id": "not-unicode", "text": "\xff\xfe"}')
    (folder / "books.jsonl").write_bytes(b"\n".join(lines) + b"\n")
    web = [{"id": f"web-{i}", "text": prose(rng, rng.choice([4, 60, 200, 800]))} for i in range(120)]
    web += [
        {"id": "web-3", "text": "the second document of this id and that is to be put aside"},
        {"id": "null", "text": None},
    ]
    (folder / "web.jsonl.gz").write_bytes(gzip.compress("\n".join(map(json.dumps, web)).encode(), mtime=0))
    (folder / "chinese").mkdir(exist_ok=True)
    for i in range(20):
        text = "".join(rng.choice(_HAN) for _ in range(rng.choice([100, 800, 3000])))
        (folder / "chinese" / f"{i:02d}.txt").write_text(text, encoding="utf-8")
    chats = [
        {"messages": [{"role": "user", "content": prose(rng, 12)}, {"role": "assistant", "content": prose(rng, 20)}]}
        for _ in range(30)
    ]
    (folder / "chats.jsonl").write_text("\n".join(map(json.dumps, chats)))


def prose(rng: random.Random, words: int) -> str:
    """Sentences of made-up words between English stop words."""
    parts = []
    for _ in range(words):
        made_up = "".join(rng.choice(_SYLLABLES) for _ in range(rng.randint(2, 4)))
        parts.append(rng.choice(_STOP) if rng.random() < 0.4 else made_up)
        if rng.random() < 0.1:
            parts[-1] += ".\n" if rng.random() < 0.3 else "."
    return " ".join(parts)


def small_recipe(corpus: Path, *overrides: str) -> Recipe:
    """The recipe over a folder that :func:`write_small_corpus` wrote."""
    return parse_recipe(small_recipe_text(corpus), overrides)


def small_recipe_text(corpus: Path) -> str:
    """The same as YAML."""
    return RECIPE.format(corpus=corpus)


def published_bytes(run: Path) -> dict[str, bytes]:
    """Every manifest of a run and every file that one of them names, by its path below the run."""
    found = {}
    for manifest in sorted(run.glob("*/manifest.json")):
        stage = manifest.parent
        found[f"{stage.name}/manifest.json"] = manifest.read_bytes()
        content = json.loads(manifest.read_bytes())
        for entry in [e for key in ("shards", "dropped", "quarantine", "extra") for e in content[key]]:
            found[f"{stage.name}/{entry['file']}"] = (stage / entry["file"]).read_bytes()
    return found
