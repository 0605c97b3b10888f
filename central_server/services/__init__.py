"""One use case for each function: load, ask the domain, store."""
