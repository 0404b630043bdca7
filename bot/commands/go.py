"""Ask before acting: the count with its two buttons, and what these do. Every command that acts ends here."""

from dataclasses import dataclass, replace

from bot import texts
from bot.actions.acting import NotDone, Wish
from bot.actions.action import Stage
from bot.actions.bridge import BRIDGE
from bot.commands.queue import look_up, which_typed
from bot.delivery.messages import Ask, Reply
from bot.desk import Desk
from bot.queues.state import QueueState, place
from bot.render.actions import action_buttons, action_text
from bot.render.markup import name, prose
from bot.routing.routes import Destination
from tocsin.breakers import Unavailable
from tocsin.roles import Role


async def propose(wish: Wish, ask: Ask, desk: Desk) -> Reply:
    """Count what would be done, and ask whether to do it. To a press it is a message of its own."""
    if not desk.acting.is_configured:
        return _no(texts.NO_ACTIONS)
    try:
        action, others = await desk.acting.ask(wish, ask.who, Destination(ask.chat_id, ask.topic_id))
    except NotDone as refusal:
        return _no(texts.ACTION_REFUSED.format(icon=texts.ICON_WARN, reason=prose(str(refusal), 900)))
    except Unavailable as failure:
        return _no(texts.BRIDGE_AWAY if failure.dependency == BRIDGE else texts.POSTGRES_AWAY)
    if not action.count:
        return _no(texts.ACTION_NOTHING.format(action=action.action))
    return Reply(action_text(action, others=others), action_buttons(action, desk.seal), is_new=True)


def _no(text: str) -> Reply:
    return Reply(text, notice=text, is_alert=True, is_new=True)


async def find_one(said: str, command: str, desk: Desk) -> QueueState | Reply:
    """The queue that was meant, or what to say instead."""
    looked = await look_up(said, desk)
    if len(looked.found) > 1:
        return which_typed(map(place, looked.found), command)
    return looked.found[0] if looked.found else looked.unknown("queue")


@dataclass
class Go:
    """The buttons under the question. The message itself then tells what comes of it."""

    name: str = "go"
    needs: Role = Role.OPERATOR

    async def press(self, ask: Ask, rest: str, desk: Desk) -> Reply:
        which, _, number = rest.rpartition(":")
        is_mine = False
        try:
            if which == "no":
                action = await desk.acting.cancel(int(number), ask.who)
            else:
                action, is_mine = await desk.acting.begin(int(number), ask.who, ask.message_id)
        except NotDone:
            return Reply("", notice=texts.ACTION_TOO_OLD, is_alert=True)
        if action.stage is Stage.CANCELLED:
            by = texts.ACTION_CANCELLED.format(name=name(action.by, 40))
            return Reply(action_text(action), notice=by, is_alert=which != "no")
        return Reply("", notice=texts.ACTION_BEGUN if is_mine else texts.ACTION_BEGUN_BEFORE, is_alert=which == "no")


async def propose_on_queue(action: str, rest: str, ask: Ask, desk: Desk) -> Reply:
    """Pause or resume: the whole queue."""
    if not rest:
        return Reply(texts.HOW_PAUSE.format(action=name(action)))
    found = await find_one(rest, action, desk)
    if isinstance(found, Reply):
        return found
    reply = await propose(Wish(action, found.env, found.source, found.queue), ask, desk)
    return replace(reply, is_new=False)
