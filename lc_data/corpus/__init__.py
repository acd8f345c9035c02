"""Data at rest: documents, shards, manifests and ledgers. The only room that touches storage."""
