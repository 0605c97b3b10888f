"""Pages the agent serves on the LAN: kiosk, desk screen, set-up wizard."""
