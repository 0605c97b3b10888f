"""The broker's side of the server: subscriber, receipts, the embedded broker."""
