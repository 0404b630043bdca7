"""Buttons that act carry a seal: nobody can make one up, and an old one no longer works."""

from itsdangerous import BadSignature, SignatureExpired, TimestampSigner

from bot.errors import BotError

KEEPS_SECONDS = 7 * 24 * 3600


class Forged(BotError):
    """We never made this button, or with another bot token."""


class Expired(BotError):
    """We made this button long ago."""


class Seal:
    """Signs what a button says with a key made from the bot's token: every replica has it, and nobody else."""

    def __init__(self, secret: str) -> None:
        self._signer = TimestampSigner(secret, salt="tocsin.bot.button")

    def close(self, data: str) -> str:
        """Sign. It adds 35 bytes of the 64 that Telegram lets a button carry."""
        return self._signer.sign(data).decode()

    def open(self, sealed: str) -> str:
        """What was signed. Raises Expired or Forged."""
        try:
            return self._signer.unsign(sealed, max_age=KEEPS_SECONDS).decode()
        except SignatureExpired as old:
            raise Expired("the button is too old") from old
        except BadSignature as bad:
            raise Forged("the button is not ours") from bad
