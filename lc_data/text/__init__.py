"""Text in Arrow buffers: characters, words and their hashes, without a Python string per word."""
