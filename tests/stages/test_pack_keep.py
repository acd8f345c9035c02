"""Another mixture behind packs that are trained on already: those stay, and nothing is lost or repeated over it."""

from __future__ import annotations

import shutil
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from lc_data import PackedDataset
from lc_data.corpus.manifest import Manifest
from lc_data.corpus.run import RunFolder
from lc_data.corpus.tokenized import TokenizedCorpus
from lc_data.corpus.verify import verify_run
from lc_data.engine.backend import SerialBackend
from lc_data.engine.stage import bring_up_to_date
from lc_data.recipe.errors import RecipeError
from lc_data.recipe.packing import PackSection
from lc_data.stages import balance, pack
from lc_data.streaming.ledger import pack_hash
from lc_data.streaming.state import StreamStateError
from tests.stages.test_balance import recipe
from tests.stages.test_pack import packed
from tests.stages.test_pack_exclusion import KEYS, LENGTHS, packs_of

SHAPE = {"seq_len": 512, "block_packs": 16, "global_batch_packs": 4}
BOOKS: dict[str, Any] = {"budget_tokens": 30_000, "weights": {"books": 4, "web": 1}}


def first(place: Path, **switches: Any) -> tuple[RunFolder, Manifest]:
    return packed(place, LENGTHS, **KEYS, pack=SHAPE | switches)


def append(run: RunFolder, manifest: Manifest, packs: int, mixture: dict[str, Any] = BOOKS, **keys: Any) -> Manifest:
    """Keep the first packs of the plan that a manifest tells of, and plan a mixture behind them."""
    switches = keys.pop("switches", {})
    keep = {"plan_hash": manifest.facts["plans"]["pretrain"]["plan_hash"], "packs": packs}
    return make(run, pack=SHAPE | switches | {"keep": keep}, mixture=mixture, **keys)


def make(run: RunFolder, **keys: Any) -> Manifest:
    asked = recipe(**keys)
    balance.STAGE.check(asked)
    bring_up_to_date(balance.STAGE, asked, run, SerialBackend())
    return bring_up_to_date(pack.STAGE, asked, run, SerialBackend()).manifest


def pieces(packs: dict[int, list[tuple[int, ...]]]) -> Counter[tuple[int, ...]]:
    """How often each piece (document, start, length, part) is in packs."""
    return Counter(row[:4] for rows in packs.values() for row in rows)


def tokens_of(corpus: TokenizedCorpus, packs: dict[int, list[tuple[int, ...]]]) -> Counter[str]:
    tokens: Counter[str] = Counter()
    for (document, _, length, _), times in pieces(packs).items():
        tokens[corpus.domains[corpus.domain[document]]] += times * length
    return tokens


def check_even(corpus: TokenizedCorpus, packs: dict[int, list[tuple[int, ...]]], held: set[int]) -> None:
    """Of each stratum nothing is seen a second time before everything was seen once, and so on."""
    counts = pieces(packs)
    there: dict[tuple[int, int], list[int]] = {}
    for document in range(corpus.document_count):
        if corpus.domains[corpus.domain[document]] == "chat" or document in held:
            continue
        for part, start in enumerate(range(0, int(corpus.length[document]), 512)):
            times = counts.pop((document, start, min(512, int(corpus.length[document]) - start), part), 0)
            there.setdefault((int(corpus.domain[document]), int(corpus.bucket[document])), []).append(times)
    assert not counts
    for times in there.values():
        assert max(times) - min(times) <= 1


@pytest.mark.parametrize("switches", [{}, {"method": "one_per_row"}, {"mask": "anchor", "anchor_token": 2}])
def test_kept_packs_stay_and_the_streams_go_on(tmp_path: Path, switches: dict[str, Any]) -> None:
    run, before = first(tmp_path, **switches)
    old = PackedDataset(tmp_path)
    there = packs_of(run, before, "pretrain")
    kept = {number: rows for number, rows in there.items() if number < 40}
    hashes = [pack_hash(old.pack(number)) for number in range(40)]
    after = append(run, before, 40, switches=switches)
    facts, packs = after.facts["plans"]["pretrain"], packs_of(run, after, "pretrain")
    assert {number: packs[number] for number in kept} == kept
    new = PackedDataset(tmp_path)
    assert [pack_hash(new.pack(number)) for number in range(40)] == hashes
    corpus = TokenizedCorpus.open(run)
    if "mask" not in switches:
        held = {row[0] for rows in packs_of(run, after, "held_out").values() for row in rows}
        check_even(corpus, packs, held)
    drawn = tokens_of(corpus, {number: rows for number, rows in packs.items() if number >= 40})
    assert abs(drawn["books"] - 24_000) <= 512 * 3
    assert abs(drawn["web"] - 6_000) <= 512 * 3
    assert (facts["kept"]["first_pack"], facts["kept"]["packs"], facts["stages"][0]["first_pack"]) == (0, 40, 40)
    assert facts["kept"]["tokens"] == sum(tokens_of(corpus, kept).values())
    assert facts["tokens"] == facts["kept"]["tokens"] + sum(drawn.values())
    differs = next(number for number in there if there[number] != packs.get(number))
    assert 40 <= differs <= 42  # one document a row may come to stand where it stood
    for consumed in (0, 39, 40, differs):
        new.load_state_dict(old.state_at(consumed))
        assert new.state_dict()["consumed"] == consumed
    with pytest.raises(StreamStateError, match=rf"1 of these packs have changed \({differs}\).*another mixture"):
        new.load_state_dict(old.state_at(differs + 1))


def test_an_append_on_top_of_an_append_and_back(tmp_path: Path) -> None:
    run, before = first(tmp_path)
    one = append(run, before, 24)
    middle = packs_of(run, one, "pretrain")
    two = append(run, one, 48, KEYS["mixture"])
    packs = packs_of(run, two, "pretrain")
    assert {number: packs[number] for number in range(48)} == {number: middle[number] for number in range(48)}
    held = {row[0] for rows in packs_of(run, two, "held_out").values() for row in rows}
    check_even(TokenizedCorpus.open(run), packs, held)
    assert verify_problems(run) == []
    stream = PackedDataset(tmp_path)
    for manifest, most in ((before, 24), (one, 48)):
        state = stream.state_at(most) | {"plan_hash": manifest.facts["plans"]["pretrain"]["plan_hash"]}
        stream.load_state_dict(state)
        with pytest.raises(StreamStateError, match=rf"have changed \({most}"):
            stream.load_state_dict(state | {"consumed": most + 1})
    # The packs that were kept are at hand still, whatever was planned since.
    shutil.rmtree(tmp_path / "pack" / "plan")
    assert append(run, before, 24) == one
    assert append(run, one, 48, KEYS["mixture"]) == two


def verify_problems(run: RunFolder) -> list[str]:
    return [finding.problem for finding in verify_run(run.uri) if finding.stage in ("balance", "pack")]


def test_what_is_excluded_leaves_kept_packs_too(tmp_path: Path) -> None:
    run, before = first(tmp_path)
    plain = append(run, before, 40)
    packs, corpus = packs_of(run, plain, "pretrain"), TokenizedCorpus.open(run)
    gone = {packs[7][0][0], packs[44][0][0]}
    exclude = {"ids": [corpus.document_id(document) for document in gone]}
    after = append(run, before, 40, exclude=exclude)
    now = packs_of(run, after, "pretrain")
    assert [number for number in packs if packs[number] != now[number]] == sorted(
        number for number, rows in packs.items() if gone & {row[0] for row in rows}
    )
    assert not gone & {row[0] for rows in now.values() for row in rows}
    assert verify_problems(run) == []


def test_documents_that_the_new_mixture_would_not_draw_stay_where_they_are_kept(tmp_path: Path) -> None:
    """A domain of weight 0, and one that has been seen whole: its documents come a second time only then."""
    run, before = first(tmp_path)
    most = before.facts["plans"]["pretrain"]["packs"] // 4 * 4
    after = append(run, before, most, {"budget_tokens": 80_000, "weights": {"books": 1, "web": 0}})
    packs, corpus = packs_of(run, after, "pretrain"), TokenizedCorpus.open(run)
    behind = {number: rows for number, rows in packs.items() if number >= most}
    assert set(tokens_of(corpus, behind)) == {"books"}
    held = {row[0] for rows in packs_of(run, after, "held_out").values() for row in rows}
    check_even(corpus, packs, held)
    assert after.ledger.domains["books"].kept.tokens == tokens_of(corpus, packs)["books"]
    said = run.stage("balance").manifest().ledger.domains["books"]
    distinct = {row[0] for rows in packs.values() for row in rows if corpus.domain[row[0]] == 0}
    begun = sum(times for piece, times in pieces(packs).items() if piece[1] == 0 and corpus.domain[piece[0]] == 0)
    assert said.kept.documents == begun
    assert said.added["repeated"].documents == begun - len(distinct)


def test_kept_draws_count_towards_the_epochs(tmp_path: Path) -> None:
    run, before = first(tmp_path)
    most = before.facts["plans"]["pretrain"]["packs"] // 4 * 4
    with pytest.raises(RecipeError, match="mixture: the mixture cannot be met"):
        append(run, before, most, {"budget_tokens": 80_000, "weights": {"books": 1, "web": 0}, "max_epochs": 1})


def test_what_cannot_be_kept_is_refused_and_the_plan_stays(tmp_path: Path) -> None:
    run, before = first(tmp_path)
    unknown = before.model_copy(update={"facts": {"plans": {"pretrain": {"plan_hash": "0" * 32}}}})
    refusals: list[tuple[Manifest, dict[str, Any], str]] = [
        (unknown, {"packs": 8}, "which this run never had: its plan is"),
        (before, {"packs": 4000}, "pack.keep.packs is 4000, and the plan has"),
        (before, {"packs": 8, "switches": {"seq_len": 256}}, "seq_len 512, not 256: rows of one plan are all alike"),
        (before, {"packs": 8, "switches": {"positions": "continuous"}}, "positions reset, not continuous"),
        (before, {"packs": 40, "switches": {"overlong": "truncate"}}, "is cut otherwise in the packs that are kept"),
        (before, {"packs": 40, "mixture": BOOKS | {"held_out": {"share": 0.5}}}, "documents that are held out now"),
        (before, {"packs": 8, "mixture": {}}, r"say with mixture\.budget_tokens how many"),
    ]
    for manifest, keys, message in refusals:
        with pytest.raises(RecipeError, match=message):
            append(run, manifest, **keys)
        assert run.stage("pack").manifest() == before
    with pytest.raises(ValidationError, match=r"keep\.packs is 6; .* global_batch_packs \(4\): 8 or 4"):
        PackSection(**SHAPE, keep={"plan_hash": "0" * 32, "packs": 6})
    with pytest.raises(ValidationError, match="keep needs method best_fit or one_per_row: concat cuts"):
        PackSection(**SHAPE, method="concat", keep={"plan_hash": "0" * 32, "packs": 8})


def test_packs_that_changed_since_are_not_kept_as_if_they_had_not(tmp_path: Path) -> None:
    run, before = first(tmp_path)
    document = packs_of(run, before, "pretrain")[5][0][0]
    mended = make(run, pack=SHAPE, **KEYS, exclude={"ids": [TokenizedCorpus.open(run).document_id(document)]})
    third = packs_of(run, mended, "pretrain")[3]
    with pytest.raises(RecipeError, match="packs have changed since, pack 5 is the first: keep at most 5, or packs of"):
        append(run, before, 8)
    assert packs_of(run, append(run, before, 4), "pretrain")[3] == third


def test_a_kept_copy_that_changed_on_disk_is_named(tmp_path: Path) -> None:
    run, before = first(tmp_path)
    append(run, before, 8)
    [copy] = (tmp_path / "balance" / "kept").glob("*/block-00000.arrow")
    data = bytearray(copy.read_bytes())
    data[len(data) // 2] ^= 1
    copy.write_bytes(data)
    with pytest.raises(RecipeError, match=r"block-00000\.arrow, which holds packs that are kept, is gone or changed"):
        append(run, before, 8, KEYS["mixture"])
