"""What queues, schedulers and their Redis look like now: asked for again and again, told when it changes."""
