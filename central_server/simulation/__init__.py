"""A fleet of believable desks over real MQTT, deterministic by seed."""
