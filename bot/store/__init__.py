"""What the bot remembers, in Postgres: models, and one file of queries per subject."""
