"""Queues as the bot knows them: from history, else from its own snapshots."""
