"""FastAPI lives here only: the internal and the public application."""
