"""What the user asks for: a strict, typed recipe."""
