"""The live stream: one Kafka tail per process -> ring -> hub -> viewers, each with a filter and a bounded queue."""
