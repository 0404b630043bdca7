"""Incidents: from failures in Kafka to messages wanted, and what people and time do to them."""
