"""L-Eval (An et al. 2023, arXiv 2307.11088): 18 tasks over long documents, read from the official jsonl files."""
