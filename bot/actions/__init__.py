"""What people let the bridge do to jobs and queues: asked, confirmed, done once, followed to its end."""
