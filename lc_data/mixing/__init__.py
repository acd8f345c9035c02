"""Mixing: how many tokens each domain and length gets, what is held out, and in what order documents are drawn."""
