"""Answering a button press."""

import re

from tocsin.sandbox.errors import QUERY_TOO_OLD, bad_request
from tocsin.sandbox.hub import Sandbox
from tocsin.sandbox.params import Params
from tocsin.sandbox.records import DropQuery
from tocsin.sandbox.rules import MAX_ANSWER
from tocsin.sandbox.text import utf16_length


def answer_callback_query(sandbox: Sandbox, params: Params) -> bool:
    """Tell the person who pressed; once, and not too late."""
    query_id = params.text("callback_query_id")
    text, url = params.text("text"), params.text("url")
    if utf16_length(text) > MAX_ANSWER:
        raise bad_request("MESSAGE_TOO_LONG")
    if url and re.fullmatch(rf"https://t\.me/{sandbox.bot.username}\?start=[\w-]{{1,64}}", url, re.ASCII) is None:
        raise bad_request("URL_INVALID")  # anything else is for games
    pressed_at = sandbox.world.queries.get(query_id)
    if pressed_at is None or sandbox.clock() - pressed_at > sandbox.options.query_seconds:
        raise bad_request(QUERY_TOO_OLD)
    sandbox.commit(DropQuery(query_id))
    waiting = sandbox.answers.get(query_id)
    if waiting is not None and not waiting.done():
        waiting.set_result({"text": text, "show_alert": params.flag("show_alert"), "url": url})
    return True
