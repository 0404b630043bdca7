"""Who people are, what they may do, and how a button or a link proves it."""
