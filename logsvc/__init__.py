"""Kafka -> ClickHouse -> people.

In come the records of `jobs`, `logs`, `queues`, `schedulers` and `sources`, committed ones only; out go rows in
ClickHouse, the HTTP API and the live stream. Every record becomes one row exactly once, in the tables and in their
aggregates, across kill -9, rebalances and retries, seen by plain SELECTs. A record that cannot be decoded or stored
goes to the dead-letter topic (after a crash perhaps twice, under the same id), is counted, and stops nobody. While
ClickHouse is down nothing is dropped: Kafka holds the records, memory stays bounded, history answers 503, and queues
and the live stream go on. A viewer that reads too slowly misses rows, is told how many, and slows nobody. What may be
lost: records that Kafka's retention deletes before logsvc has read them; that is counted and said.
"""
