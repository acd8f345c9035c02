"""Reading sources: one module per kind, each a generator over one planned range of input.

Whatever is read becomes a document, a rejection (it could not be read) or a skip (it was read and is not wanted);
nothing is lost. Readers know formats and addresses, and nothing of tasks, shards or Ray.
"""
