"""What no event says: where Redis contradicts what was told of a job, and the record that corrects it."""
