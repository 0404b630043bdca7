"""Nothing secret and nothing endless leaves the process."""
