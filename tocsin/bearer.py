"""`Authorization: Bearer …`: show it, read it, and compare it so that the time taken tells nothing."""

import hmac

from pydantic import SecretStr


def shown(token: SecretStr | None) -> dict[str, str]:
    """The headers of a request that shows a token; none without one."""
    return {"authorization": f"Bearer {token.get_secret_value()}"} if token else {}


def bearer(header: str) -> str | None:
    """The token of an Authorization header; None if it holds none of this kind."""
    scheme, _, token = header.partition(" ")
    return token.strip() or None if scheme.lower() == "bearer" else None


def is_secret(given: str, secret: SecretStr) -> bool:
    """Whether a text is this secret."""
    return hmac.compare_digest(given.encode(errors="replace"), secret.get_secret_value().encode())
