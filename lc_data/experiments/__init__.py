"""Published claims about long-context data, in miniature: arms trained alike but for one choice, and a verdict."""
