"""Keeps what the cameras saw, unreadable to this box itself, and answers requests for it."""
