"""Which documents are worth keeping: rules over batches of documents, each drop with its reason and its measure."""
