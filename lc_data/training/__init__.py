"""Training over the packed stream: a compact Llama-family decoder, FSDP2, exact resume."""
