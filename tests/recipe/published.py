"""What the presets' papers, reports and released code say, written down apart from the presets: number and source."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

FU = "Fu et al. 2024, arXiv 2402.10171"
FU_CODE = "FranxYao/Long-Context-Data-Engineering"
PROLONG_CODE = "princeton-nlp/ProLong"
INDEX = "Index-1.9B-32K technical report"
LLAMA2_LONG = "Xiong et al. 2023, arXiv 2309.16039, recalled"
QWEN = "Qwen2.5-1M technical report, arXiv 2501.15383, as secondary notes quote it"
OLMO_CODE = "allenai/OLMo-core"
OLMO = "Olmo 3 report, as a secondary note quotes it"
SMOLLM_CODE = "SmolLM3, released training configurations"
OURS = "chosen by lc_data"

M = 1 << 20


@dataclass(frozen=True)
class Published:
    """One recipe as published."""

    numbers: dict[str, tuple[Any, str]]
    """dotted key of the recipe: (value, source)"""
    shares: dict[str, float] = field(default_factory=dict)
    """percent of tokens by domain; empty where none are published"""
    ranges: dict[tuple[str, int, int | None], float] = field(default_factory=dict)
    """percent of all tokens by (domain, first length, length it ends before)"""
    long_share: dict[str, float] = field(default_factory=dict)
    """share of a domain's own tokens in documents of at least ``mixture.lengths.threshold_tokens``"""
    shares_sum: float = 100.0
    overrides: tuple[str, ...] = ()
    recipe: str = ""
    """Where it is not the name of this entry."""


def _training(source: str, rate: float, base: float | None, batch: int, **others: Any) -> dict[str, tuple[Any, str]]:
    keys = {
        "steps": "steps",
        "kind": "schedule.kind",
        "warmup": "schedule.warmup_share",
        "floor": "schedule.floor_share",
        "decay": "optimizer.weight_decay",
        "clip": "optimizer.clip_norm",
        "betas": "optimizer.betas",
    }
    numbers = {"optimizer.peak_learning_rate": rate, "model.rope_base": base, "batch_tokens": batch}
    numbers |= {keys[key]: value for key, value in others.items()}
    return {f"pretrain.{key}": (value, source) for key, value in numbers.items()}


_SHORT_MIX = {"fineweb_edu": 10, "fineweb": 10, "stackexchange": 4, "wikipedia": 4, "tulu": 3, "arxiv": 3,
              "openwebmath": 3, "textbooks": 3}  # fmt: skip
_ADAM = {"decay": 0.1, "clip": 1.0, "betas": (0.9, 0.95)}
_PROLONG = {"kind": "cosine", "warmup": 0.1, "floor": 0.1, **_ADAM}
_QWEN_STAGES = ((32768, 1e6), (65536, 1e6), (131072, 5e6), (262144, 1e7))

PRESETS: dict[str, Published] = {
    "index_32k": Published(
        {
            "pack.seq_len": (32768, INDEX),
            "pack.mask": ("document", INDEX),
            "pack.positions": ("reset", INDEX),
            "mixture.budget_tokens": (10_000_000_000, INDEX),
            **_training(INDEX, 1e-5, 320_000, 4 * M, kind="cosine", decay=0.1, clip=1.0),
            "pretrain.schedule.warmup_share": (0.1, PROLONG_CODE),
            "pretrain.schedule.floor_share": (0.1, PROLONG_CODE),
        },
        shares={"corpus": 100},
        ranges={
            ("corpus", 4096 * step, 4096 * (step + 1) if step < 7 else None): share
            for step, share in enumerate((73, 12, 6, 4, 2, 1, 1, 1))
        },
    ),
    "fu_128k": Published(
        {
            "pack.seq_len": (81920, FU),
            "pack.method": ("concat", FU_CODE),
            "pack.mask": ("none", FU),
            "pack.positions": ("continuous", FU),
            "mixture.budget_tokens": (5_000_000_000, FU),
            "mixture.lengths.mode": ("per_source", FU),
            "mixture.lengths.threshold_tokens": (4096, FU),
            **_training(FU, 2e-5, 2_076_062, 50 * 81920, kind="constant"),
        },
        shares={"commoncrawl": 67, "c4": 15, "github": 4.5, "wikipedia": 4.5, "books": 4.5, "arxiv": 2.5,
                "stackexchange": 2},
        long_share=dict.fromkeys(("commoncrawl", "c4", "github", "wikipedia", "stackexchange"), 0.7),
    ),
    "prolong_64k": Published(
        {
            "pack.seq_len": (65536, PROLONG_CODE),
            "mixture.budget_tokens": (5000 * 4 * M, PROLONG_CODE),
            **_training(PROLONG_CODE, 1e-5, 8e6, 4 * M, steps=5000, **_PROLONG),
        },
        shares={"repositories": 30, "books": 30, **_SHORT_MIX},
        ranges={("repositories", 65536, None): 30, ("books", 65536, None): 30},
    ),
    "prolong_512k": Published(
        {
            "pack.seq_len": (524288, PROLONG_CODE),
            "mixture.budget_tokens": (2500 * 8 * M, PROLONG_CODE),
            **_training(PROLONG_CODE, 5e-6, 1.28e8, 8 * M, steps=2500, **_PROLONG),
        },
        shares={"repositories": 30, "books": 30, **_SHORT_MIX},
        ranges={
            ("repositories", 65536, 524288): 15, ("repositories", 524288, None): 15,
            ("books", 65536, 524288): 25, ("books", 524288, None): 5,
        },
    ),
    "llama2_long": Published(
        {
            "pack.seq_len": (32768, LLAMA2_LONG),
            "mixture.budget_tokens": (400_000_000_000, LLAMA2_LONG),
            **_training(LLAMA2_LONG, 2e-5, 500_000, 122 * 32768, steps=100_000, kind="cosine", warmup=2000 / 100_000),
        },
    ),
    **{
        f"qwen25_1m at {length}": Published(
            {
                "pack.seq_len": (length, QWEN),
                "pretrain.model.rope_base": (base, QWEN),
                "mixture.lengths.mode": ("per_source", OURS),
                "mixture.lengths.threshold_tokens": (length, QWEN),
                "pretrain.batch_tokens": (4 * M, OURS),
                "pretrain.optimizer.peak_learning_rate": (1e-5, OURS),
            },
            long_share=dict.fromkeys(("common_crawl", "arxiv", "books", "code"), 0.75),
            overrides=(f"variables.seq_len={length}", f"variables.rope_base={base}"),
            recipe="qwen25_1m",
        )
        for length, base in _QWEN_STAGES
    },
    "olmo3_long": Published(
        {
            "pack.seq_len": (65536, OLMO_CODE),
            "mixture.budget_tokens": (50_000_000_000, OLMO_CODE),
            **_training(OLMO_CODE, 2.07e-4, None, 4 * M, kind="wsd", floor=0),
            # 200 steps, then linear to 0 over all others
            "pretrain.schedule.warmup_share": (0.0168, f"{OLMO_CODE}: 200 of 50e9 / 4M steps"),
            "pretrain.schedule.decay_share": (0.9832, OLMO_CODE),
        },
        shares={"midtraining": 66.1, "pdfs": 4.55 + 3.70 + 9.63, "pdfs_cwe": 3.88, "pdfs_rex": 12.2},
        ranges={("pdfs", 8192, 16384): 4.55, ("pdfs", 16384, 32768): 3.70, ("pdfs", 32768, 65536): 9.63},
        shares_sum=100.06,
    ),
    "smollm3_long_32k": Published(
        {
            "pack.seq_len": (32768, SMOLLM_CODE),
            "mixture.budget_tokens": (20_000 * 72 * 32768, SMOLLM_CODE),
            **_training(SMOLLM_CODE, 2e-5, 2e6, 72 * 32768, steps=20_000, kind="cosine", warmup=0.05, floor=0),
        },
        shares={"short": 90, "reasoning": 10},
    ),
    "smollm3_long": Published(
        {
            "pack.seq_len": (65536, SMOLLM_CODE),
            "mixture.budget_tokens": (22_000 * 36 * 65536, SMOLLM_CODE),
            **_training(SMOLLM_CODE, 2e-5, 5e6, 36 * 65536, steps=22_000, kind="cosine", warmup=0.0454545, floor=0),
        },
        shares={"short": 90, "reasoning": 10},
    ),
}  # fmt: skip
