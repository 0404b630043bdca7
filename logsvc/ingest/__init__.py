"""Kafka to ClickHouse, exactly once: a lane for each partition this replica owns."""
