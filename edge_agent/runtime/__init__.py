"""Joins vision, core and delivery for each desk; builds threads, owns no policy."""
