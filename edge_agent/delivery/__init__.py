"""From the outbox on disk to the server's receipt."""
