"""Which plugin directory a node has, and how that is known."""
