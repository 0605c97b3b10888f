"""Pure policy: no FastAPI, MQTT or SQL. ARCHITECTURE.md lists the order in which data flows."""
