"""The course of the trainings, and the loss by position on documents that they never saw."""

from __future__ import annotations

from lc_data.reports.content import Evaluation, PositionBucket, Training
from lc_data.reports.page import charts, numbers
from lc_data.reports.page.markup import Html, element, folded, join, table
from lc_data.reports.page.palette import ALL, Palette


def training_section(trainings: list[Training], palette: Palette) -> Html:
    """A loss curve for every training, what its steps cost, and where in its documents it learned."""
    rows = [
        [run.kind, numbers.exact(run.steps), numbers.exact(run.tokens), f"{run.first_loss:.4f}", f"{run.last_loss:.4f}",
         numbers.rounded(run.tokens / run.seconds), numbers.duration(run.seconds)]
        for run in trainings
    ]  # fmt: skip
    head = ["training", "steps", "tokens", "first loss", "last loss", "tokens per second", "time"]
    return join(
        element("div", (_curve(run) for run in trainings), class_="charts"), table("Trainings of this run", head, rows),
        (folded(f"{run.kind}: loss as a table", _curve_table(run)) for run in trainings),
        table("What the steps cost", _COST, [_cost(run) for run in trainings]),
        (_learned(run, palette) for run in trainings),
    )  # fmt: skip


_COST = [
    "training", "target tokens per second", "of the devices' peak", "padding", "waiting for data",
    "waiting for checkpoints", "peak memory", "busiest rank by mean", "updates left out",
]  # fmt: skip


def _cost(run: Training) -> list[str]:
    cost = run.cost
    return [
        run.kind, numbers.rounded(cost.label_tokens_per_second), numbers.percent(cost.mfu),
        numbers.percent(cost.padding_share, 2), numbers.percent(cost.loader_wait_share),
        numbers.duration(cost.checkpoint_stall_seconds), numbers.size(cost.peak_memory_bytes),
        numbers.times(cost.rank_imbalance), numbers.exact(cost.skipped_updates),
    ]  # fmt: skip


def _learned(run: Training, palette: Palette) -> Html:
    """Losses by domain and position of the last steps, and the gain from long context along the way."""
    lines = {name: run.domains[name] for name in palette.order_names(run.domains)} | {ALL: run.buckets}
    caption = f"Nats per token by position, last {numbers.exact(run.last_steps)} steps of {run.kind}"
    gains = [
        [numbers.exact(g.step), *(f"{v:.4f}" for v in (g.near, g.far, g.far_cut, g.gain, g.gain_cut))]
        for g in run.gains
    ]
    head = ["step", "near the beginning", "at the end", "at the end, from windows", "gain", "gain of windows"]
    return join(
        _position_table(caption, run.buckets, lines) if run.buckets else None,
        table(f"Gain from long context on held-out documents, {run.kind}, nats per token", head, gains)
        if gains
        else None,
    )


def evaluation_section(evaluations: list[Evaluation], palette: Palette) -> Html:
    """Loss by position of every checkpoint."""
    return join(_panel(evaluations), (_positions(evaluation, palette) for evaluation in evaluations))


def _panel(evaluations: list[Evaluation]) -> Html:
    """The checkpoints side by side: loss, what long context gains, what is known of short documents."""

    def nats(value: float | None) -> str:
        return numbers.NONE if value is None else f"{value:.4f}"

    rows = [
        [one.checkpoint, nats(one.nll), nats(one.gain), nats(one.gain_cut), numbers.percent(one.cloze)]
        for one in evaluations
    ]
    head = ["checkpoint", "nats per token", "gained from long context", "gained from short windows", "short documents"]
    return table("Checkpoints on held-out documents; the last column is the share of tokens known", head, rows)


def _curve(run: Training) -> Html:
    losses = [step.loss for step in run.curve]
    y_ticks = charts.nice_ticks(min(losses), max(losses), 4)
    y = charts.Axis("loss", y_ticks[0], y_ticks[-1], charts.tick_labels(y_ticks))
    last = max(run.curve[-1].step, 1)
    x_ticks = [tick for tick in charts.nice_ticks(0, last, 5) if tick <= last]
    x = charts.Axis("optimizer step", 0, last, [(tick, numbers.rounded(tick)) for tick in x_ticks])
    series = [charts.Series("loss", [(step.step, step.loss) for step in run.curve], "c0")]
    caption = f"Loss in nats per target token, from {run.first_loss:.3f} to {run.last_loss:.3f}."
    return element(
        "figure",
        element("h4", run.kind),
        charts.lines(series, x, y, f"{run.kind}: loss by step"),
        element("figcaption", caption),
    )


def _curve_table(run: Training) -> Html:
    rows = [
        [
            numbers.exact(step.step),
            f"{step.loss:.4f}",
            f"{step.learning_rate:.3g}",
            numbers.exact(round(step.tokens_per_second)),
        ]
        for step in run.curve
    ]
    return table(f"Course of {run.kind}", ["step", "loss", "learning rate", "tokens per second"], rows)


def _positions(evaluation: Evaluation, palette: Palette) -> Html:
    lines = {name: evaluation.domains[name] for name in palette.order_names(evaluation.domains)}
    lines[ALL] = evaluation.buckets
    firsts = [bucket.first for bucket in evaluation.buckets]
    values = [bucket.nll for buckets in lines.values() for bucket in buckets]
    y_ticks = charts.nice_ticks(min(values), max(values), 4)
    y = charts.Axis("loss", y_ticks[0], y_ticks[-1], charts.tick_labels(y_ticks))
    x = charts.Axis("position in the document, in tokens", -0.5, len(firsts) - 0.5,
                    [(place, numbers.length(first)) for place, first in enumerate(firsts)])  # fmt: skip
    series = [
        charts.Series(
            name,
            [(firsts.index(bucket.first), bucket.nll) for bucket in buckets],
            palette.style(name),
            palette.dash(name),
        )
        for name, buckets in lines.items()
    ]
    legend = charts.legend([(one.name, f"line {one.style}", one.dash) for one in series])
    caption = (
        f"{numbers.exact(evaluation.tokens)} tokens of {numbers.exact(evaluation.documents)} held-out documents, "
        f"{evaluation.nll:.4f} nats per token. A model that uses its context has a line that falls."
    )
    return join(
        element("h3", f"Checkpoint of {evaluation.checkpoint}"),
        legend,
        element("figure", charts.lines(series, x, y, "loss by position"), element("figcaption", caption)),
        _position_table(
            f"Nats per token by position, checkpoint of {evaluation.checkpoint}", evaluation.buckets, lines
        ),
    )


def _position_table(caption: str, whole: list[PositionBucket], lines: dict[str, list[PositionBucket]]) -> Html:
    spans = [(bucket.first, bucket.last) for bucket in whole]
    head = ["domain", *(f"{first:,} to {last:,}" for first, last in spans)]
    rows = []
    for name, buckets in lines.items():
        found = {bucket.first: f"{bucket.nll:.4f}" for bucket in buckets}
        rows.append([name, *(found.get(first, numbers.NONE) for first, _ in spans)])
    return table(caption, head, rows)
