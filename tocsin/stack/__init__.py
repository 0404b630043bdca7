"""The servers Tocsin runs itself when nobody gives it theirs: Valkey, Postgres, Apache Kafka, and ClickHouse as chDB.

A server whose address is in the environment is used instead and never started, stopped or written to from here.
Everything listens on loopback only. Data lives under one directory and survives a restart, at the same addresses
unless a port was taken meanwhile. A child dies with its parent, however the parent dies. One process owns a data
directory at a time. It is made for one machine and one person: one node of each server, no replication; what the
operating system had not written to disk when the power failed can be lost.

Where Java or Kafka's jars cannot be had, librdkafka's in-memory mock stands in, and says so: it keeps nothing across
a restart, holds 5 MiB a partition and has no real transactions.
"""
