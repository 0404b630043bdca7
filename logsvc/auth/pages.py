"""The login page, as HTML without a script: it works in any browser, and before anything else does."""

import html

from logsvc.auth.who import Who

HEAD = """<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{title} · Tocsin</title>
<link rel="stylesheet" href="login.css">
<main>
<p class="brand">{bell}Tocsin</p>
<h1>{title}</h1>
"""
BELL = (
    '<svg viewBox="0 0 32 32" aria-hidden="true">'
    '<path fill="#2f8f83" d="M16 3a2 2 0 0 1 2 2v.7c4 .9 6.6 4.3 6.6 8.7 0 5.4 1.5 7.4 2.9 8.7.7.7.2 1.9-.8 1.9'
    'H5.3c-1 0-1.5-1.2-.8-1.9 1.4-1.3 2.9-3.3 2.9-8.7 0-4.4 2.6-7.8 6.6-8.7V5a2 2 0 0 1 2-2Z"/>'
    '<path fill="#c8903a" d="M12.3 26.5h7.4a3.7 3.7 0 0 1-7.4 0Z"/></svg>'
)
END = "</main>\n</html>\n"

BY_TELEGRAM = "<li>Send <code>/login</code> to the bot in Telegram, and open the link it answers with."
BY_SERVER = "<li>On the server: <code>tocsin login-link YOUR-NAME</code>. It needs Postgres and the bot, not Telegram."
BY_PROXY = "<li>Come through your organization's sign-in: the proxy in front of Tocsin tells who you are."
BOT_AWAY = (
    "<p class=trouble role=alert>The bot does not answer just now, and it knows the login links. Who is logged in "
    "stays so, and API tokens go on. Try again in a minute.</p>\n"
)
PASTE = """<form method="post" action="login">
<label for="ticket">Or paste a link here:</label>
<input id="ticket" name="ticket" type="password" autocomplete="off" maxlength="2000" required>
<button>Log in</button>
</form>
"""


def login_page(*, notice: str, is_bot_away: bool, by_proxy: bool, by_link: bool) -> str:
    """How to log in. notice: plain text about what just happened; empty = nothing did."""
    ways = "\n".join([*([BY_TELEGRAM, BY_SERVER] if by_link else []), *([BY_PROXY] if by_proxy else [])])
    told = f"<p class=trouble role=alert>{html.escape(notice)}</p>\n" if notice else ""
    away = BOT_AWAY if is_bot_away and by_link else ""
    return f"{_head('Log in')}{told}{away}<ul>\n{ways}\n</ul>\n{PASTE if by_link else ''}{END}"


def confirm_page(ticket: str, following: str = "", known: Who | None = None) -> str:
    """A button, because chat apps open links to show a preview, and a link is good once.

    following: where it leads then. known: who is logged in here already, and need not log in again.
    """
    form = f"""{_known(known, following)}<p>This link logs you in on this device. It works once.</p>
<form method="post" action="login">
<input name="ticket" type="hidden" value="{html.escape(ticket)}">
<input name="next" type="hidden" value="{html.escape(following)}">
<button autofocus>Log in</button>
</form>
"""
    return f"{_head('Log in')}{form}{END}"


def _known(who: Who | None, following: str) -> str:
    if who is None:
        return ""
    name, where = html.escape(who.name or who.user_id), html.escape(following or "logs")
    return f"""<p>You are logged in here as <strong>{name}</strong>, {who.role.value}: <a href="{where}">go on</a>.</p>
"""


def logout_page(who: Who, csrf_token: str) -> str:
    """Who is logged in here, and the buttons that end it."""
    name = html.escape(who.name or who.user_id)
    form = f"""<p>You are <strong>{name}</strong>, {who.role.value}.</p>
<form method="post" action="logout">
<input name="csrf_token" type="hidden" value="{html.escape(csrf_token)}">
<button name="where" value="here">Log out</button>
<button name="where" value="everywhere">Log out on every device</button>
</form>
<p><a href="logs">Back to the page</a></p>
"""
    return f"{_head('Log out')}{form}{END}"


def _head(title: str) -> str:
    return HEAD.format(title=title, bell=BELL)


def told_page(title: str, text: str, back: str = "login") -> str:
    """A sentence and a way on."""
    return f'{_head(html.escape(title))}<p>{html.escape(text)}</p>\n<p><a href="{back}">Go on</a></p>\n{END}'
