"""/whoami: the ids that TELEGRAM_ADMINS and TELEGRAM_ALERT_CHATS want."""

from dataclasses import dataclass

from bot import texts
from bot.delivery.messages import Ask, Reply
from bot.desk import Desk
from tocsin.roles import Role


@dataclass
class WhoAmI:
    """A stranger hears their id anyway."""

    name: str = "whoami"
    about: str = "your id and this chat's"
    needs: Role = Role.VIEWER

    async def answer(self, ask: Ask, rest: str, desk: Desk) -> Reply:
        topic = texts.TOPIC_IS.format(topic_id=ask.topic_id) if ask.topic_id else ""
        return Reply(texts.WHOAMI.format(user_id=ask.user_id, chat_id=ask.chat_id, topic=topic))
