"""Pure policy: no FastAPI, MQTT or SQL; modules listed in ARCHITECTURE.md in the order in which data flows."""
