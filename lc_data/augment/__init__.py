"""Long dependencies out of short documents: which parts of which documents, in which order, make a derived one."""
