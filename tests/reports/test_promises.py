"""What balance and pack promise of a plan, on the page and against the pieces."""

from __future__ import annotations

import itertools
import re

from hypothesis import given
from hypothesis import strategies as st

from lc_data.corpus.tokenized import TokenizedCorpus
from lc_data.reports.collect.promises import read_promises, thin
from lc_data.reports.page.page import render_page
from lc_data.reports.promises import Stretch, Window


def with_promises(report, **changes):
    plan = report.plan("pretrain")
    changed = plan.model_copy(update={"promises": plan.promises.model_copy(update=changes)})
    return report.model_copy(update={"plans": [changed]})


def test_stages_hold_what_the_pieces_hold(report):
    plan = report.plan("pretrain")
    (stage,) = plan.promises.stages
    assert {draw.domain: draw.tokens for draw in stage.domains} == {one.domain: one.tokens for one in plan.domains}
    assert {draw.domain: round(draw.asked_share, 9) for draw in stage.domains} == {
        "books": 0.5,
        "web": 0.3,
        "chinese": 0.2,
    }
    assert all(sum(draw.tokens_by_bucket) == draw.tokens for draw in stage.domains)
    assert stage.packs == plan.packs
    assert stage.long.threshold_tokens == 512
    assert next(draw for draw in stage.domains if draw.domain == "web").bound == ["one_epoch"]


def test_stretches_add_up_to_the_plan(report):
    for plan in report.plans:
        stretches = plan.promises.stretches
        assert sum(one.packs for one in stretches) == plan.packs
        assert sum(sum(one.tokens_by_domain.values()) for one in stretches) == plan.tokens


@given(st.lists(st.tuples(st.integers(0, 2), st.integers(1, 9), st.integers(0, 99)), max_size=60), st.integers(1, 9))
def test_thinning_loses_nothing_and_mixes_no_stages(rows, most):
    at, stretches = 0, []
    for stage, packs, tokens in sorted(rows, key=lambda row: row[0]):
        stretches.append(Stretch(stage=stage, first_pack=at, packs=packs, tokens_by_domain={"a": tokens}))
        at += packs
    thinned = thin(stretches, most)
    for stage in range(3):
        mine = [one for one in stretches if one.stage == stage]
        left = [one for one in thinned if one.stage == stage]
        assert len(left) <= most
        assert sum(one.packs for one in left) == sum(one.packs for one in mine)
        assert sum(one.tokens_by_domain["a"] for one in left) == sum(one.tokens_by_domain["a"] for one in mine)
    assert all(one.first_pack + one.packs == two.first_pack for one, two in itertools.pairwise(thinned))


def test_nobody_weighs_held_out_documents(report):
    promises = report.plan("held_out").promises
    assert promises.stages == []
    assert promises.losses["truncated"].documents > 0


def test_the_page_says_what_was_asked_for_and_what_binds(report):
    page = render_page(report)
    assert "what was asked for can be had" in page
    assert "it ends the epoch: all of it is seen once" in page
    assert "shorter than one window of 10 million tokens" in page
    stage = report.plan("pretrain").promises.stages[0]
    assert f"{stage.long.before * 100:.2f}%" in page
    assert f"{stage.long.after * 100:.2f}%" in page


def test_a_mixture_that_gave_way_and_a_worst_window_are_named(report):
    (stage,) = report.plan("pretrain").promises.stages
    web = next(draw for draw in stage.domains if draw.domain == "web")
    moved = web.model_copy(update={"asked_share": web.settled_share + 0.0625, "bound": ["max_epochs"]})
    domains = [moved if draw is web else draw for draw in stage.domains]
    window = Window(share_off=0.01234, domain="books", first_pack=17, packs=9766)
    page = render_page(
        with_promises(
            report,
            stages=[stage.model_copy(update={"domains": domains})],
            window=window,
            tokens_by_piece_length={64: {"web": 6464, "books": 12864}},
        )
    )
    assert "web in stage all was moved by 6.25 points" in page
    assert "gives all that max_epochs allows" in page
    assert "the share of books is 1.234 points off its plan: 9,766 rows from row 17 on" in page
    assert re.search(r"<th scope=\"row\">64</th>.*6,464.*12,864|12,864.*6,464", page)


def test_a_plan_of_an_older_version_is_said_to_be_one(run, report):
    corpus = TokenizedCorpus.open(run)
    assert read_promises({"plan_hash": "x"}, {}, corpus) is None
    plan = report.plan("pretrain").model_copy(update={"promises": None})
    assert "older version of lc_data" in render_page(report.model_copy(update={"plans": [plan]}))
