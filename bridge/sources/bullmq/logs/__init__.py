"""The lines of jobs' logs: followed while a job runs, read to their end when it is over, told once."""
