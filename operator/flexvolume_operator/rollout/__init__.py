"""Which nodes are touched next."""
