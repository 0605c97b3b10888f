"""The program at the desk: camera, QR and kiosk become numbered, chained, sealed events."""
