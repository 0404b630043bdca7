"""What the bridge reads from: one package per queue system."""
