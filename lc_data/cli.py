"""The command line: arguments in, exit codes out, no logic.

Exit codes: 0 done, 1 the work failed, 2 the recipe or the arguments are wrong (before any work starts). Results go to
standard output, as text or with ``--json`` as one JSON document; progress and errors go to standard error.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from lc_data.corpus.run import STEPS, RunFolder
from lc_data.failure import Failure
from lc_data.recipe.errors import RecipeError, nearest
from lc_data.recipe.load import load_recipe
from lc_data.recipe.recipe import Recipe

if TYPE_CHECKING:
    from lc_data.journey import Step

app = typer.Typer(
    add_completion=False,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    help="Long-context training data, from raw documents to trained steps.",
)

RecipeArgument = Annotated[str, typer.Argument(help="A recipe file, or the name of one in pipelines/.")]
RunArgument = Annotated[str, typer.Argument(help="The folder of a run.")]
OutOption = Annotated[str | None, typer.Option("--out", help="The folder of the run; runs/NAME by default.")]
OverrideOption = Annotated[
    list[str] | None, typer.Option("-o", help="Override a key of the recipe: pack.seq_len=8192.")
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print one JSON document for machines.")]


def _tell(result: dict[str, Any], text: str, as_json: bool) -> None:
    typer.echo(json.dumps(result, ensure_ascii=False) if as_json else text)


def _open(recipe: str, overrides: list[str] | None, out: str | None) -> tuple[Recipe, RunFolder]:
    loaded = load_recipe(recipe, overrides or [])
    where = out or f"runs/{loaded.name}"
    return loaded, RunFolder(where if "://" in where else str(Path(where).absolute()))


def _go(recipe: Recipe, run: RunFolder, to: str, as_json: bool) -> None:
    """Bring everything up to a step up to date, and say what was done."""
    from lc_data.journey import travel

    _report_steps(travel(recipe, run, to), run, as_json)


def _report_steps(steps: Iterator[Step], run: RunFolder, as_json: bool) -> None:
    """Say of each step how it came to be done, when it is."""
    lines = []
    for step in steps:
        lines.append(step.as_json())
        typer.echo(step.text, err=as_json)
    _tell({"run": run.uri, "steps": lines}, f"run: {run.uri}", as_json)


@app.command()
def run(
    recipe: RecipeArgument,
    out: OutOption = None,
    to: Annotated[str, typer.Option("--to", help=f"Stop after this step: {', '.join(STEPS)}.")] = "report",
    override: OverrideOption = None,
    as_json: JsonOption = False,
) -> None:
    """Run a recipe, as far as it goes or to a step; a second call resumes or says that all is up to date."""
    if to not in STEPS:
        raise RecipeError(f"--to {to!r} is not a step{nearest(to, STEPS)}")
    loaded, folder = _open(recipe, override, out)
    _go(loaded, folder, to, as_json)


def _add_step(step: str, summary: str) -> None:
    def command(
        recipe: RecipeArgument, out: OutOption = None, override: OverrideOption = None, as_json: JsonOption = False
    ) -> None:
        loaded, folder = _open(recipe, override, out)
        _go(loaded, folder, step, as_json)

    app.command(step, help=f"{summary} Brings what it needs up to date first.")(command)


_add_step("ingest", "Read the recipe's sources into document shards.")
_add_step("filter", "Keep the documents that pass the recipe's rules.")
_add_step("dedupe", "Remove copies, near-duplicates, excerpts and editions, keeping the longest.")
_add_step("bucket", "Tokenise, measure lengths, and sort documents into length buckets.")
_add_step("balance", "Decide how often each domain and length is seen.")
_add_step("augment", "Make the recipe's share of documents into rows that teach long dependencies.")
_add_step("pack", "Plan the rows: which piece of which document lies in which pack.")
_add_step("pretrain", "Continue pretraining on the packed corpus.")
_add_step("sft", "Fine-tune on the packed dialogues, with loss on the answers.")


@app.command()
def climb(
    recipe: RecipeArgument, out: OutOption = None, override: OverrideOption = None, as_json: JsonOption = False
) -> None:
    """Train a recipe's lengths in turn, each once the one before shows what its ladder requires."""
    from lc_data.climb import climb as each_step

    loaded, folder = _open(recipe, override, out)
    _report_steps(each_step(loaded, folder), folder, as_json)


@app.command()
def plan(
    recipe: RecipeArgument,
    out: OutOption = None,
    override: OverrideOption = None,
    tokens_per_second: Annotated[
        float | None, typer.Option(min=1e-9, help="How fast the model trains, over all devices, for the hours.")
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Say what a recipe would give, before anything is written: tokens, repeats, rows, hours, memory, disk.

    Exact where the run has its index; otherwise estimated from a sample of the sources, with intervals. What cannot be
    had is refused with what binds, and exits with 2.
    """
    from lc_data.forecast.forecast import forecast
    from lc_data.forecast.page import as_text

    loaded, folder = _open(recipe, override, out)
    found = forecast(loaded, folder, tokens_per_second)
    _tell(found.model_dump(mode="json"), as_text(found), as_json)


@app.command()
def evaluate(  # noqa: PLR0913, PLR0917 -- each parameter is an option
    checkpoint: Annotated[str, typer.Argument(help="A folder in Hugging Face format: config.json and safetensors.")],
    run: Annotated[str | None, typer.Option("--run", help="A packed run: its held-out documents, its tokens.")] = None,
    name: Annotated[str | None, typer.Option(help="What to call the result; the checkpoint's name by default.")] = None,
    suite: Annotated[str | None, typer.Option("--suite", help="Suites of tasks: needle,longbench,leval,ruler.")] = None,
    out: Annotated[str | None, typer.Option("--out", help="With --suite: where answers and scores go.")] = None,
    data: Annotated[str | None, typer.Option(help="With --suite: the folder of the official jsonl files.")] = None,
    haystack: Annotated[
        list[str] | None,
        typer.Option("--haystack", help="With --suite: a text to hide needles in, or a folder of them."),
    ] = None,
    max_seq_len: Annotated[int | None, typer.Option(help="With --suite: tokens of prompt and answer.")] = None,
    truncate: Annotated[str | None, typer.Option(help="With --suite: middle or none.")] = None,
    rope: Annotated[str | None, typer.Option(help="With --suite: none, dynamic:8, linear:8, yarn:8.")] = None,
    to: Annotated[
        str | None, typer.Option("--to-lm-eval", help="With --suite: write tasks for lm_eval here, and ask nothing.")
    ] = None,
    override: Annotated[
        list[str] | None, typer.Option("-o", help="With --suite: any other key of its section: limit=50.")
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Measure a checkpoint: loss on a run's held-out documents by domain and position, or answers to suites of tasks.

    For the checkpoints that a run has trained itself there is `lc-data run RECIPE --to evaluate`.
    """
    if suite is not None:
        from lc_data.evaluation.evaluate_suites import evaluate_suites, export_suites
        from lc_data.recipe.load import load_suites

        named = {"data": data, "haystacks": haystack, "max_seq_len": max_seq_len, "truncate": truncate, "rope": rope}
        section = load_suites(suite, {key: value for key, value in named.items() if value is not None}, override or [])
        if to is not None:
            tasks = export_suites(checkpoint, section, to, run)
            _tell({"tasks": tasks}, "\n".join(tasks), as_json)
            return
        asked = evaluate_suites(checkpoint, section, out, run, name)
        _tell({"asked": asked.asked, **asked.scores.as_json()}, asked.scores.as_text(), as_json)
        return
    if run is None:
        raise RecipeError(
            "evaluate needs --run RUN, whose held-out documents are used, or --suite needle,longbench,leval,ruler"
        )
    from lc_data.evaluation.evaluate import evaluate as measure

    folder = RunFolder(run)
    result = measure(checkpoint, folder.uri, load_recipe(folder.recipe_uri), name)
    _tell({"run": folder.uri, "results": result.results}, result.summary, as_json)


@app.command()
def score(
    folder: Annotated[str, typer.Argument(help="A folder of predictions, in LongBench's layout.")],
    protocol: Annotated[
        str | None, typer.Option(help="official or opencompass; default: LongBench official, L-Eval opencompass.")
    ] = None,
    code_similarity: Annotated[
        str | None, typer.Option(help="difflib, or levenshtein as OpenCompass; by default the protocol's.")
    ] = None,
    missing_as_zero: Annotated[
        bool, typer.Option("--missing-as-zero", help="Count tasks without predictions as 0 in the averages.")
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Score predictions, without a model: DIR/<task>.jsonl or DIR/<suite>/<task>.jsonl; writes DIR/result.json."""
    from lc_data.evaluation.score import score_folder
    from lc_data.evaluation.suite import score_options

    scores = score_folder(Path(folder), score_options(protocol, code_similarity, missing_as_zero))
    _tell(scores.as_json(), scores.as_text(), as_json)


@app.command()
def report(
    run: RunArgument,
    other: Annotated[str | None, typer.Argument(help="Another run, to compare the first with.")] = None,
    out: Annotated[
        str | None, typer.Option("--out", help="The folder of the comparison; RUN/report/compare-OTHER by default.")
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Write a run's report: page, report.json, dataset card and croissant.json; of two runs, what differs."""
    from lc_data.reports import write_report
    from lc_data.reports.compare import write_comparison

    if other is not None:
        compared = write_comparison(run, other, out)
        _tell({"html": compared.html, "json": compared.json}, compared.html, as_json)
        return
    if out is not None:
        raise RecipeError(
            "--out is the folder of a comparison, which needs two runs: lc-data report RUN OTHER --out DIR"
        )
    paths = write_report(run)
    _tell(asdict(paths), paths.html, as_json)


@app.command()
def verify(run: RunArgument, as_json: JsonOption = False) -> None:
    """Read every manifest, checksum, ledger and plan of a run again; exits with 1 and names what is wrong."""
    from lc_data.corpus.verify import verify_run

    findings = verify_run(run)
    text = "\n".join(str(finding) for finding in findings) or f"{run}: every file, ledger and plan is whole"
    _tell({"run": run, "findings": [str(finding) for finding in findings]}, text, as_json)
    if findings:
        raise typer.Exit(1)


@app.command()
def trace(
    run: RunArgument,
    pack: Annotated[int | None, typer.Option(help="Show what this pack holds.")] = None,
    document: Annotated[str | None, typer.Option(help="Show which packs saw the document with this id.")] = None,
    plan: Annotated[str, typer.Option(help="pretrain, sft or held_out.")] = "pretrain",
    as_json: JsonOption = False,
) -> None:
    """Follow a pack back to its sources, or a document forward to its packs."""
    from lc_data.corpus.trace import trace_document, trace_pack

    if (pack is None) == (document is None):
        raise RecipeError("trace needs exactly one of --pack N and --document ID")
    found = trace_pack(run, pack, plan) if pack is not None else trace_document(run, document or "", plan)
    _tell(found.as_json(), found.as_text(), as_json)


@app.command()
def duplicates(
    run: RunArgument,
    limit: Annotated[int, typer.Option(min=0, help="Show so many clusters, the largest first.")] = 20,
    as_json: JsonOption = False,
) -> None:
    """List what dedupe removed: by domain and reason, and each document with its keeper, measures and spans."""
    from lc_data.corpus.duplicates import list_duplicates

    found = list_duplicates(run)
    if as_json:
        _tell(found.as_json(), "", as_json)
    else:
        typer.echo(found.as_text(limit))


@app.command()
def lengths(
    corpus: Annotated[list[str], typer.Argument(help="The folder of a run, or raw files and folders.")],
    tokenizer: Annotated[str | None, typer.Option(help="For raw files: a tokenizer.json.")] = None,
    edges: Annotated[str | None, typer.Option(help="Where classes of length begin: 4K,8K,32K.")] = None,
    step: Annotated[int | None, typer.Option(help="Eight classes of so many tokens and a last one.")] = None,
    fields: Annotated[str | None, typer.Option(help="For raw files: text=content,domain=subset.")] = None,
    as_json: JsonOption = False,
) -> None:
    """Show the share of documents and the share of tokens by class of length and domain, of any corpus."""
    from lc_data.lengths.table import choose_edges
    from lc_data.survey import survey

    choose_edges(0, edges, step)  # a wrong edge is said before anything is read
    found = survey(corpus, tokenizer, fields)
    chosen = choose_edges(found.longest_tokens, edges, step)
    _tell(found.as_json(chosen), found.as_text(chosen), as_json)


@app.command()
def export(
    run: RunArgument,
    out: Annotated[str, typer.Argument(help="The folder to write, by path or URI.")],
    to: Annotated[str, typer.Option("--to", help="hf-parquet, megatron, mds, olmo-core or datatrove.")],
    plan: Annotated[str, typer.Option(help="pretrain, sft or held_out.")] = "pretrain",
    as_json: JsonOption = False,
) -> None:
    """Write a plan's packed rows for another trainer; a second call goes on, or says that all is there."""
    from lc_data.exports.export import export_plan

    result = export_plan(run, plan, to, out)
    _tell(result, f"{out}: {result['rows']:,} rows of {result['seq_len']:,} tokens as {to}", as_json)


@app.command()
def bench(
    name: Annotated[
        str,
        typer.Argument(help="What to measure: filter, sketch, dedupe, language, tokenize, chain, plan, pack, stream."),
    ] = "stream",
    data: Annotated[
        list[str] | None, typer.Option("--data", help="For tokenize and chain: JSON Lines files, or folders of them.")
    ] = None,
    tokenizer: Annotated[str | None, typer.Option(help="For tokenize and chain: a tokenizer.json.")] = None,
    as_json: JsonOption = False,
) -> None:
    """Measure this machine side by side with a reference, in one run, as ratios."""
    from lc_data.bench import run_bench

    result = run_bench(name, data or (), tokenizer)
    _tell(result.as_json(), result.as_text(), as_json)


@app.command()
def experiment(
    name: Annotated[str, typer.Argument(help="An experiment of pipelines/experiments, a file, or all.")],
    out: Annotated[str, typer.Option("--out", help="Where runs and pages go.")] = "runs/experiments",
    size: Annotated[str, typer.Option(help="smoke, small or gpu: how much is trained.")] = "smoke",
    as_json: JsonOption = False,
) -> None:
    """Re-run a published claim in miniature: arms trained alike, measured over seeds, and a verdict."""
    from lc_data.experiments.run import run_experiments

    found = run_experiments(name, size, Path(out), lambda line: typer.echo(line, err=True))
    _tell(found.as_json(), found.as_text(), as_json)


@app.command()
def rope(
    to: Annotated[int, typer.Option("--to", help="The length that is wanted, in tokens.")],
    base: Annotated[float, typer.Option(help="The rotary base of pretraining.")] = 10_000.0,
    length: Annotated[int, typer.Option(help="Tokens of pretraining.")] = 4096,
    head_dim: Annotated[int, typer.Option(help="Width of a head.")] = 128,
    new_base: Annotated[float | None, typer.Option(help="The base to judge; by default the least needed.")] = None,
    as_json: JsonOption = False,
) -> None:
    """Say which rotary base a longer context needs, by two published rules, and where they disagree."""
    from lc_data.rope_bounds import extend

    found = extend(head_dim, base, length, to, new_base)
    _tell(found.as_json(), found.as_text(), as_json)


@app.command()
def doctor(as_json: JsonOption = False) -> None:
    """Say what this machine has, and what that rules out."""
    from lc_data.doctor import examine

    found = examine()
    _tell(found.as_json(), found.as_text(), as_json)


def main() -> None:
    """Run the command line with the project's exit codes."""
    try:
        app(standalone_mode=True)
    except RecipeError as error:
        typer.echo(f"lc-data: {error}", err=True)
        sys.exit(2)
    except Failure as error:
        typer.echo(f"lc-data: {error}", err=True)
        sys.exit(error.exit_code)


if __name__ == "__main__":
    main()
