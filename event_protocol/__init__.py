"""The wire contract between edge agents and the central server; the only package both import."""
