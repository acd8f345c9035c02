"""What a recipe would give, before any of it is done: planned in a scratch run by the stages that would plan it."""
