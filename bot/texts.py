"""The bot's sentences; bot/render adds single words. Whoever fills in what stands in braces has escaped it."""

ICON_FAILED = "🔴"
ICON_RESOLVED = "✅"
ICON_WARN = "🟠"
ICON_OK = "🟢"
ICON_PAUSED = "⏸"
ICON_OLD = "⚪"
ICON_ACKED = "🙋"
ICON_SILENCED = "🔕"
ICON_NOTE = "📝"
ICON_MAINTENANCE = "🚧"
ICON_PAGED = "📟"
ICON_DEPLOY = "🚀"
ICON_STORM = "🌩"
ICON_CHART = "📈"

RESOLVED = "quiet again"
BACK = "back again"
NEW = "new"
ACKED_BY = "{name} has it since {at}."
PAGED = "On call: {names}"
SILENCED_UNTIL = "Silenced until {until}; {hidden} kept quiet so far."
ALL_ON = "all on {worker}"
ON_WORKERS = "on {count} workers: {top}"
BY = "by {name}"
DEPLOYED = "{what} was deployed{by}, {before} before it began"
TAKEN_THEN = "{name} had it then."
BROUGHT = "Nobody has acked it in time, so it comes to {name}."
THIS_CHAT = "this chat"
NOBODY_HAS_IT = "It goes on, and nobody has acked it."
ACK = "🙋 Ack"
SILENCE = "🔕 {hours}h"
RUNBOOK = "Runbook"
JOB = "job"
SOURCE = "source"
WORKER = "worker"
ATTEMPT = "attempt {attempt}/{most}"
ATTEMPT_ONLY = "attempt {attempt}"
NO_ERROR = "(no error text: the job's hash was gone when it was read)"
SEEN_BEFORE = "Seen before, last {when}; {total} in all."
OPEN_PAGE = "Open page"

LATE_HEADLINE = "🟠 <b>{failures} of {kinds} {were} heard of late.</b> This message rings for all of it."
MORE_KINDS = "more than {count} kinds"
AND_MORE = "… and {count} more"

STORM = "{kinds} incidents at once, ×{failures}"
STORM_UNHEEDED = "{count} nobody has"
STORM_TAKEN = "all of them are taken, silenced or over"
STORM_OVER = "all of them are quiet again"
STORM_TIMES = "From {began} on, the last joined at {joined}. What rang before them has messages of its own."
STORM_AGAIN = "{count} more since all of it was taken"
STORM_GROWN = "it goes on: ×{failures} that nobody has"
LATE_OVER = "✅ Over: {text}"
ACK_ALL = "🙋 Ack all"
DIGEST = "☀️ <b>Held back in quiet hours: {incidents}, {goes_on}</b>"
HELD_NOW = "{count} held back until quiet hours are over"
NOTHING_HELD = "Nothing is held back."
NO_QUIET_HOURS = "There are no quiet hours: BOT_QUIET_HOURS."
QUIET_HOURS = "Quiet hours ({zone}): {hours}"
REMINDER_ONE = "🔔 <b>Nobody has acked this yet</b>"
REMINDER_MANY = "🔔 <b>Nobody has acked {count} incidents yet</b>"
INCIDENTS_HEADLINE = "{count} open, {unheeded} nobody has acked"
NO_INCIDENTS = "Nothing is open."
RESOLVE = "✅ Resolve"
RESOLVED_BY_HAND = "#{number} is over. It rings anew when it returns."
HOW_RESOLVE = "Say which incident is over: <code>/resolve 17</code>, or answer its message with /resolve."
SOURCE_LEFT = (
    "🧹 No bridge has reported source {source} for a day, so it is taken to have been taken away: {incidents} of it "
    "ended. If it should be watched, look at its bridge and its settings; what fails there rings anew."
)
SOURCE_LEFT_NOTE = "Ended by itself: no bridge has reported this source for a day."
NO_SUCH_INCIDENT = "There is no incident #{number}."
INCIDENT_OVER = "That is over already."
ACKED = "You have it now."
ALREADY_ACKED = "{name} has it already."
ACKED_ALL = "You have {count} now."
NOTHING_TO_ACK = "Nobody is waited for: nothing open is without an ack."
SILENCED = "Silenced until {until}."
ALREADY_SILENCED = "It is silenced already, until {until}."
NOTED = "📝 Noted on {about}."
SILENCES_HEADLINE = "{count} kept quiet"
NO_SILENCES = "Nothing is kept quiet."
SILENCE_LINE = "until {until} by {by}; {hidden} kept quiet so far"
SILENCE_ENDED = "Silence #{number} is over. What still goes on rings again."
NO_SUCH_SILENCE = "No silence #{number} is on."
END_SILENCE = "End #{number}"
MAINTENANCE_ON = "🚧 <b>Maintenance of {what}</b> until {until}. Nothing of it rings until then."
MAINTENANCE_OVER = "🚧 <b>Maintenance of {what} is over</b> ({how})."
BY_ITS_TIME = "its time is up"
ENDED_BY = "ended by {name}"
HID_NOTHING = "It hid nothing."
HID = "It hid {failures} of {kinds}:"
HID_END = "What still goes on rings again."
EVERYTHING = "everything"
HOW_ACK = "/ack lists what nobody has; /ack NUMBER or /ack QUEUE takes it."
HOW_SILENCE = (
    "Say what and how long (times are {zone}), e.g.\n"
    "<code>/silence orders 1h provider is down</code>\n"
    "<code>/silence env=staging 4h</code>\n"
    "<code>/silence source=main fp=1a2b3c until 09:00</code>\n"
    "<code>/silence end 12</code>"
)
HOW_MAINTENANCE = (
    "Say which env and how long (times are {zone}), e.g.\n"
    "<code>/maintenance prod 15m moving the database</code>\n"
    "<code>/maintenance prod until 09:00</code>\n"
    "<code>/maintenance end 12</code>"
)
TOO_LONG = "That is too long, or nothing: from 1m to 7d."
NO_SUCH_ENV = "No queue of an env called {env} is known. Known: {envs}."
ERRORS_IN = "Errors of the last day"
ERROR_LINE = "{failures}, {finals} for good · last {last}"
NEW_TODAY = "new"
SCHEDULERS_HEADLINE = "{schedules}, {overdue} overdue"
NO_SCHEDULERS = "No job schedulers are known."
OVERDUE_BY = "overdue by {age}"
NEXT_RUN = "next {when}"
LAST_RUN = "last run {when}, {outcome}"
NEVER_RAN = "not seen to run in the last week"
ROUTE_TO = "{queue} rings in"
ROUTE_NOWHERE = "nowhere: set TELEGRAM_ALERT_CHATS or TELEGRAM_ADMINS"
ROUTE_SILENT = "without a sound"
ROUTE_QUIET = "But it is kept quiet now:"
SILENCES_UNKNOWN = "🟠 Postgres does not answer, so whether it is kept quiet is not known."
OPEN_INSTEAD = "What is open, the bot itself knows:"
SUBSCRIBED_TO = "This place has asked to hear of"
SUBSCRIBED_TO_NOTHING = "This place has asked for nothing."
SHOWS_DATA = "payloads and log lines may be shown here"
SHOWS_NO_DATA = "no payloads, no log lines"
HOW_HERE = (
    "What alerts come here, e.g.\n"
    "<code>/here env=prod</code>\n"
    "<code>/here source=main queue=mail-* silent</code>\n"
    "<code>/here everything</code>\n"
    "<code>/here off 3</code>, or <code>/here off</code> for all"
)
HOW_SUBSCRIBE = (
    "/here changes it. <code>/subscribe data on</code> lets payloads and log lines be shown here, to everybody who can "
    "read this chat; <code>/subscribe data off</code> ends that. TELEGRAM_ALERT_CHATS is told by /route."
)
UNSUBSCRIBED = "Ended. What TELEGRAM_ALERT_CHATS sends here still comes."
NO_SUCH_SUBSCRIPTION = "There was nothing to end."
NO_SUBSCRIPTION_HERE = "This place has asked for nothing: first say what it hears of, e.g. /here env=prod."
TOO_MANY_SUBSCRIPTIONS = "There are 500 subscriptions already; end some with /here off."
DATA_ON = "🟠 From now on payloads and log lines may be shown here. /subscribe data off ends that."
DATA_OFF = "No payloads and no log lines are shown here any more."
TRIAL = "Test alert of {about} · #{number}"
TRIAL_COUNTED = "Rule, incident and outbox: {took}. It is over already, and its message says so."
TRIAL_WAITS = "Telegram has not taken it; /status says more, and it is sent as soon as that will"
EVERY_CHAT = "every chat"
ARRIVED = "arrived after {took}"
NOT_YET = "not yet"
ON_CALL = "On call: {name}, {until}"
NOBODY_ON_CALL = "Nobody is on call. /oncall take"
UNTIL_TIME = "until {until}"
UNTIL_TAKEN = "until somebody else is"
BY_ROTA = "by the rota"
NEXT_ON_CALL = "Then {name}, from {at} on"
ROTA = "Rota ({zone})"
NO_ROTA = "There is no rota."
HOW_ON_CALL = (
    "<code>/oncall take</code>, <code>/oncall take until 09:00</code>, <code>/oncall give @ann 8h</code>, "
    "<code>/oncall until 09:00</code>, <code>/oncall off</code>\n"
    "<code>/oncall rota Mon 09:00 @ann, Thu 09:00 @bob</code>, <code>/oncall rota off</code>"
)
BAD_TURN = "Entry {number} of the rota is not like <code>Mon 09:00 @ann</code>, or begins when another does."
NOT_ON_CALL = "You are not on call: /oncall take."
OUT_OF_REACH = (
    "⚠️ I cannot write to {names} in private: until they press Start in a chat with me, alerts only name them where "
    "these ring."
)
HANDOVER = "Handover · since {since}"
HANDOVER_OPEN = "{count} open, {unheeded} nobody has; since then {began} began and {ended} ended"
HANDOVER_QUIET = "Kept quiet:"
HANDOVER_ACTS = "Done:"
HANDOVER_NOTHING_DONE = "Nothing was done by hand."
HANDOVER_LOST = "Lost before they were read: {events}; failures among them did not ring."
HANDOVER_NO_GAP = "No events were lost."
HANDOVER_LOST_UNKNOWN = "🟠 History (logsvc) does not answer, so nobody knows whether events were lost."
HANDOVER_HELD = "Held back for the morning digest: {incidents}; /digest shows them."
I_HAVE_IT = "🙋 I have it"
HAS_IT = "{name} has it now."
RULES_WATCH = "Watched by {count} of {all} rules; /rules says when each rings, and why."
RULES_FIND = "Found there now: {rules}"
BY_SETTING = "by BOT_RULES_OFF"
HOW_ROUTE = "Say which queue: /route NAME"
RULES_HEADLINE = "{count} rules, {off} off"
RULE_OFF = "off"
RULE_FINDS = "finds {count} now"
BECAUSE = "Why: {why}."
RULES_END = (
    "Where nothing is measured, a rule neither rings nor ends. /rules NAME shows its numbers; operators change them."
)
HOW_RULE = (
    "Change it: <code>/rules {rule} {numbers}</code>; <code>off</code>, <code>on</code>; <code>reset</code> = as "
    "it ships. Put <code>preview</code> before it to see first what it would have rung in the last 24 h."
)
LAST_DAY = "🔎 What it rang in 24 h"
THE_RULE = "The rule"
PREVIEW = "🔎 {rule}: the last {hours} h"
PREVIEW_AS_IS = "As it is, it would have rung {times}."
PREVIEW_CHANGED = "With {words} it would have rung {times}; as it is, {before}."
PREVIEW_MORE = "… and {count} before"
PREVIEW_READ = "From what Kafka holds of {span}: {records}."
PREVIEW_NOTHING_READ = "Kafka holds nothing of that time."
PREVIEW_CUT = "🟠 Not all of it could be read in time, so there may be more."
PREVIEW_MEASURED = (
    "Of measurements Kafka keeps only the newest once it has tidied up, so this may know less than the day had."
)
PREVIEW_RESTS = "This rule rests in a preview: what it looks at besides is not in Kafka."
PREVIEW_NOT_YET = "Nothing is changed. To make it so: <code>/rules {rule} {words}</code>"
PREVIEW_BUSY = "Another preview is under way; try again in a moment."
PREVIEW_AWAY = "🟠 Kafka does not answer now, so the past cannot be looked at. /status says more."
RULE_CHANGED = "Changed by {name}."
RULE_IS = "Changed. It is now so:"
RULE_BAD = "That cannot be: {reason}."
RULE_RACE = "Somebody else has just changed it. Look again, and say it once more."
NO_SUCH_RULE = "No rule is called {rule}; /rules lists them."
RULE_OFF_BY_SETTING = "BOT_RULES_OFF keeps it off; only that setting can switch it on."
POSTGRES_AWAY = (
    "🟠 Postgres does not answer. Most likely nothing was changed: look again in a minute, before you repeat it."
)
NOT_YOURS = "You may look, but not change anything: that needs the role operator. An admin gives it: /grant."
FORGED_BUTTON = "I did not make this button."
EXPIRED_BUTTON = "This button is too old. /incidents has fresh ones."

WATCHING = "Watching {queues}."
ALREADY_IN_TROUBLE = "{count} already in trouble:"
NO_TROUBLE = "None in trouble."
NOT_SEEN_YET = "{count} more queues are known but not counted yet."
GREETING_END = "What failed before now does not ring. /queues shows the numbers, /help the rest."
DROPPED = "🧹 Left out because it is too old to be of use: {what}. No alert is among them; /incidents is up to date."
DROPPED_EDITS = "the last change of {messages} above"
TOPIC_GONE = "⚠️ The topic this was meant for is closed or deleted."

CHART_COMPLETED = "Completed {each}"
CHART_FAILED = "Failed {each}"
CHART_FOR_GOOD = "for good"
CHART_TRIED_AGAIN = "tried again"
CHART_WAITING = "Waiting jobs"
CHART_LAST = "Last {hours} h"
CHART_ENDED = "completed {completed} ({rate} a minute), failed for good {failed}, tried again {retried}"
CHART_WORST = "worst: {count} failed for good in the {each} from {at} on"
CHART_WAITED = "waiting {last} when last seen, {most} at most ({at})"
CHART_NOBODY_LOOKED = "How many waited is not known: nobody looked."
CHART_BEGINS = "Hatched on the left: history begins at {at}."
CHART_ENDS = "Hatched on the right: history is behind, only what happened until {at} is in."
CHART_LOST = "Hatched behind bars: {events} lost before they were read; those numbers may be too low."
CHART_UNSEEN = "Hatched below: for {time} nobody looked how many waited."
CHART_EARLIER = "… and {deploys}, the lines without a number"
HOW_CHART = "Say which queue: /chart NAME"
NO_CHART_NOW = "So there is no chart now."
NO_HISTORY_YET = "🟠 History holds nothing of that time yet, so there is no chart."
NOT_DRAWN = "The picture could not be drawn in time; try again."

QUEUES_HEADLINE = "{queues}, {troubled} in trouble"
NO_QUEUES = "No queue has been seen yet."
AS_OF = "{age} old ({at})"
AS_OF_UNKNOWN = "age unknown: history does not say how far it is"
PAGE = "page {page} of {pages}"
SEEN_AGO = "seen {age} ago"
PAUSED = "paused"
UNKNOWN = "unknown"
EMPTY_QUEUE = "empty"
OLDEST_WAITS = "oldest waits"
REFRESH = "🔄 Refresh"
LAST_HOURS = "{hours} h"
LAST_HOURS_AGAIN = "🔄 {hours} h"
CHART = "📈 Chart"
BACK_PAGE = "◀"
NEXT_PAGE = "▶"
FAILED_JOBS = "Failed jobs"
ALL_QUEUES = "All queues"
ALL_INCIDENTS = "Open incidents"

HISTORY_AWAY = "🟠 History (logsvc) does not answer."
HISTORY_REFUSES = "🟠 History (logsvc) refuses the bot's question (HTTP {status}); for 401, see TOCSIN_SERVICE_TOKEN."
TOO_MANY_SCHEDULES = "There are too many to ask history when each ran last."
OWN_NUMBERS = "These are the bot's own last snapshots."
OWN_INCIDENTS = "This is what the bot itself has counted."
NO_JOB_NOW = "So a single job cannot be looked up. Try again in a minute; /status says more."
NOTHING_AWAY = "🟠 Neither history nor Postgres answers now. /queues and /status still do."
STATUS_WELL = "Tocsin is well"
STATUS_ILL = "Tocsin has trouble of its own"
CHANNEL_BEHIND = "{waiting} waiting, {dead} of the last day refused ({note})"
NO_HEARTBEAT = "heartbeat: none. If I die, nobody is told: set HEARTBEAT_URL"
HEARTBEAT_HELD = "heartbeat held back ({why}); the last was sent: {last}"
NEVER_SENT = "never"
EXPIRED = "Kafka dropped {records} before they were read: failures among them did not ring."
NOT_READ_YET = "not read yet"
NO_ALERT_CHATS = "Nobody is rung: TELEGRAM_ALERT_CHATS and TELEGRAM_ADMINS are both unset."
UNROUTED = "{alerts} since the start had no chat to go to: see TELEGRAM_ALERT_CHATS, or /here."
AWAY = "chat {chat} does not let me in ({note}): {count} waiting. Next try in {again}, or when somebody writes there."
CONFLICT = "Telegram: another process polls with this bot's token (409, {age} ago). Stop one of the two."

FAILED_IN = "Newest failed jobs of {queue}"
FAILED_ANYWHERE = "Newest failed jobs"
NONE_FAILED = "None."
NO_SUCH_JOB = "No job {job} is known in {queue}."
QUEUE_NOT_KNOWN_YET = "I do not know {queue} yet: not every queue has been read since my start. Try again in a minute."
NO_SUCH_QUEUE = "No queue is called {queue}."
DID_YOU_MEAN = "Did you mean one of these?"
WHICH_SOURCE = "That name is in use at several sources. Say which: {forms}"
HOW_QUEUE = "Say which queue: /queue NAME"
HOW_JOB = "Say which job: /job QUEUE ID, or /job SOURCE/QUEUE ID"

STRANGER = "Your Telegram id is {user_id}. Whoever runs Tocsin can let you in with it."
WHOAMI = "Your Telegram id is {user_id}; this chat's id is {chat_id}{topic}."
TOPIC_IS = ", topic {topic_id}"
NOT_YOUR_ROLE = "That needs the role {needed}; yours is {role}. An admin can change it: /grant."
LOGIN = (
    "{link}\n\nThis link logs you into the page as {role}. It works once, within {minutes} minutes. "
    "Keep it to yourself."
)
LOGIN_TO = (
    "{about}\n{link}\nThis link logs you into the page as {role}, and opens #{number} there. It works once, within "
    "{minutes} minutes. Keep it to yourself."
)
OPEN_AWAY = (
    "{about}\n{link}\n🟠 Postgres does not answer, so this is no login link: it opens #{number} for who is logged in. "
    "/status says more."
)
LINK_SENT = "I have sent you a link of your own, in private."
START_FIRST = "Press Start there: then I may send you a link of your own."
LOGIN_IN_PRIVATE = "Ask me that in private: whoever reads a login link can use it."
LOGIN_AWAY = (
    "🟠 Postgres does not answer, so I cannot make a login link now. Who is logged in stays so; /status says more."
)
ROLES = "Who has which role; everybody in an alert chat is a viewer."
HOW_GRANT = "Say whom and what: /grant @NAME operator, or /grant ID viewer (viewer, operator or admin)."
HOW_REVOKE = "Say whom: /revoke @NAME, or /revoke ID"
NO_SUCH_PERSON = "Nobody called {person} has spoken to me. Let them send me /start, or use their id (/whoami)."
GRANTED = "{person} is now {role}, and logs in again where they were logged in."
REVOKED = "{person} has no role of their own any more, and is logged out everywhere."
UNSUBSCRIBED_TOO = "Their private chat hears no alerts any more."
RELIEVED_TOO = "They are not on call any more: see /oncall for who is."
HAD_NONE = "{person} had no role of their own; they are logged out everywhere."
ADMIN_BY_SETTING = "They are an admin by TELEGRAM_ADMINS; only that setting can change it."
ROLES_AWAY = (
    "🟠 Postgres does not answer. Most likely nothing was changed: /grant shows it, once it answers; /status says more."
)
NO_SUCH_COMMAND = "I do not know that command. /help lists those I know."
NOT_YOUR_WORDS = "That is forwarded, or another bot's. I do only what you say yourself."
SAID_LONG_AGO = (
    "You said /{command} {age} ago and I hear it only now, so I have not done it. Say it again if it still holds."
)
PRESSED_LONG_AGO = (
    "{name} pressed a button here while I was away, perhaps long ago, so I have not done it. Press again if it still "
    "holds."
)
TOLD_TWICE = (
    "I heard this /{command} before, perhaps before I was restarted: see whether it was done, else say it again."
)
OLD_BUTTON = "This button is from an older release."
NOT_FOR_YOU = "You may not do that."
MUST_BE_SILENT = "Telegram asks for silence in this chat for {age}; press again then."
WENT_WRONG = "That went wrong, and the reason is in the bot's log."
NOT_KNOWN_YET = "I do not know that queue yet; try again in a minute."
QUEUE_GONE = "That queue is no longer there."
UPDATED = "Up to date"
START = (
    "<b>Tocsin</b> watches the job queues and rings here when a job fails for good.\n"
    "/queues shows the numbers, worst first. /help lists the rest."
)
HELP_HEADLINE = "What I answer:"

ICON_RETRY = "🔁"
RETRY = "🔁 Retry these {count}"
RETRY_ONE = "🔁 Retry it"
RETRY_FAILED = "🔁 Retry the failed jobs"
PROMOTE_ONE = "⏩ Promote it"
RESUME = "▶️ Resume it"
RETRY_AGAIN = "🔁 Retry the {count} that failed again"
CANCEL = "Cancel"
GO = {
    "retry": "Yes, retry {count}",
    "promote": "Yes, promote {count}",
    "pause": "Yes, pause it",
    "resume": "Yes, resume it",
}
ASK_ACTION = {
    "retry": "🔁 <b>Retry {jobs} of {queue}?</b>",
    "promote": "⏩ <b>Promote {jobs} of {queue}?</b>",
    "pause": "⏸ <b>Pause {queue}?</b>",
    "resume": "▶️ <b>Resume {queue}?</b>",
}
WILL = {
    "retry": "They run again with all their attempts. What fails from now on is not among them.",
    "promote": "They do not wait for their time any longer.",
    "pause": "Workers end what they are at and take nothing new, until somebody resumes it.",
    "resume": "Workers take jobs again.",
}
CONFIRM_WITHIN = "Counted just now. Confirm within {minutes} min."
NOT_AMONG = "Not among them: {others}."
UNDER_WAY = {
    "retry": "🔁 <b>Retrying {jobs} of {queue}</b>",
    "promote": "⏩ <b>Promoting {jobs} of {queue}</b>",
    "pause": "⏸ <b>Pausing {queue}</b>",
    "resume": "▶️ <b>Resuming {queue}</b>",
}
SENT_TO_BRIDGE = "On its way to the bridge; nothing is known of it yet."
NOT_SENT_IN_TIME = (
    "within {minutes} min it could not be handed to the bridge (see /status), and after that I do nothing unasked. "
    "Ask again if it is still wanted."
)
NOT_HEARD_OF_IN_TIME = "the bridge was asked more than {minutes} min ago, and I have not heard what came of it."
DONE_TO_JOBS = {"retry": "{count} retried", "promote": "{count} promoted"}
DONE_TO_QUEUE = {"pause": "⏸ <b>{queue} is paused</b>", "resume": "▶️ <b>{queue} goes on</b>"}
FATES = {
    "completed": "{count} completed",
    "failed": "{count} failed again",
    "gone": "{count} gone",
    "passed": "{count} in another state already",
    "refused": "{count} could not be acted on",
    "moving": "{count} on their way",
    "waits": "{count} not seen yet",
}
FATES_OF_ONE = {"moving": "1 on its way"}
"""Where one is not told as many are."""
ACTION_BY = "by {name}, {at}"
STOPPED_LOOKING = "I have stopped looking after {age}; /job tells of each."
ACTION_REFUSED = "{icon} <b>Not done:</b> {reason}"
ACTION_UNKNOWN = "{icon} <b>Not known whether it was done:</b> {reason}"
LOOK_AT_JOBS = "Look before you ask again: /failed {queue}, /job {queue} ID"
LOOK_AT_QUEUE = "Look before you ask again: /queue {queue}"
ACTION_CANCELLED = "Cancelled by {name}; nothing was done."
ACTION_BEGUN = "It has begun."
ACTION_BEGUN_BEFORE = "It was begun already."
ACTION_TOO_OLD = "That count is too old. Ask again: it is counted anew."
ACTION_NOTHING = "There is nothing to {action} there now."
BRIDGE_AWAY = "🟠 The bridge does not answer, so nothing was done. Try again in a minute; /status says more."
NO_ACTIONS = "Actions are off: the bot has no TOCSIN_SERVICE_TOKEN (docs/actions.md)."
HOW_RETRY = (
    "Say what to retry, e.g.\n"
    "<code>/retry 17</code> what incident #17 is about\n"
    "<code>/retry orders</code> every failed job of a queue\n"
    "<code>/retry orders 4711 4712</code> these jobs\n"
    "or answer an alert with /retry."
)
HOW_PROMOTE = "Say which delayed jobs: <code>/promote orders 4711 4712</code>"
HOW_PAUSE = "Say which queue: <code>/{action} orders</code>"
NOT_RETRIABLE = "Incident #{number} is not about failed jobs that can be told apart; /retry QUEUE takes all of a queue."
AUDIT_HEADLINE = "Who did what, the newest first"
NO_AUDIT = "Nobody has done anything yet."
LINES_OF = "Newest log lines of {about}"
NO_LINES = "No log lines are kept of that."
NO_LINES_NOW = "So no log line can be looked up. Try again in a minute; /status says more."
NO_LINES_HERE = (
    "Log lines may hold anything your app writes, so they are not shown here. An admin can let this chat show them: "
    "<code>/subscribe data on</code>, once it has asked for alerts by /here."
)
HOW_LOGS = (
    "Say which queue, and which job or words if you like, e.g.\n"
    "<code>/logs orders</code>\n<code>/logs orders 4711</code>\n<code>/logs orders ?timeout card</code>"
)
