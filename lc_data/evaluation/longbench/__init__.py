"""LongBench (Bai et al. 2023, arXiv 2308.14508): 21 tasks, read from the official jsonl files."""
