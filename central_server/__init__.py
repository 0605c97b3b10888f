"""The program of the inspection side: logs events, derives sessions and flags, shows them."""
