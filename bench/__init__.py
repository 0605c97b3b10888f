"""Measures the project against its targets: `python -m bench`."""
