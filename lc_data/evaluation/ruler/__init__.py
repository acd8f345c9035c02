"""RULER's generated tasks (Hsieh et al. 2024, arXiv 2404.06654), with sentences and words of our own."""
