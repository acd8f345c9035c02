"""Which documents are there twice: exact hashes, MinHash candidates, exact Jaccard, and who stays."""
