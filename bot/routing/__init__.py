"""Who is told of what, and when: chats, quiet hours, who is on call."""
