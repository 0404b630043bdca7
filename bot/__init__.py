"""Ring the engineer on call in Telegram, and answer there with true numbers.

In: job events and queue snapshots from Kafka; commands from Telegram; history from logsvc. Out: one message per
incident in every chat it is routed to, edited in place while it goes on; answers to commands.

Promise: an alert for a final failure is delivered at least once and never silently dropped, even if Telegram or
Postgres is down for hours: incident, outgoing message and Kafka position are committed in one Postgres transaction, and
the message stays there until Telegram has taken it. It is doubled only if the process dies, or Telegram's answer is
lost, between Telegram's acceptance and our commit; two bots on one database claim each message before they send it, so
also if just then one of them, and it alone, is stopped or cut off from Postgres for half a minute.
While Postgres refuses the tables (a missing grant, another release's columns) the position stays where it is. Counts
are exact, because a Kafka position never moves without them. An incident is called quiet only if the bridge has told of
its source all the while. What was in a queue before Tocsin saw it, or failed before the first start, never rings.
What a chat does not let in (nobody has pressed Start there yet, or the bot was thrown out) waits, is shown by /status,
and is sent when the chat lets it in. A message that Telegram itself refuses, even as plain text, is kept and counted.
"""
