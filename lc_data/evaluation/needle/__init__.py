"""Needles in haystacks after NeedleBench (Li et al. 2024, arXiv 2407.11963), with sentences of our own."""
