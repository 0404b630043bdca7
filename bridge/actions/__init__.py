"""Actions on jobs and queues: retry, promote, remove, pause, resume, asked for over HTTP by the bot.

The one part of Tocsin that writes to the user's Redis: by BullMQ's own Python client, on a connection with credentials
of its own, off unless configured. A request is carried out once, whichever replica it reaches and however often it is
sent: a log in Kafka says who took it up, what was planned, and what became of each job. A replica killed half way
leaves a request that whoever hears it again finishes; a job is acted on only while it is still in the very state that
was planned for, so none is retried twice. A pause or resume that was cut off may be sent to BullMQ once more.
"""
