"""What is done for one owned partition: its queues are read by lanes, polled in rounds, and relayed to Kafka."""
