"""Where a source is written to, and as whom: its `actions` table, over its own topology."""

from typing import Annotated, Self
from urllib.parse import parse_qsl, urlencode

from pydantic import AfterValidator, Field, SecretStr, ValidationError, model_validator

from bridge.topology import Credentials, Topology, check_url, explain


class ActionsConnection(Credentials):
    """How actions reach a source's Redis: as a user of their own, who may write. What is not given is the source's."""

    url: Annotated[SecretStr | None, AfterValidator(check_url)] = Field(None, description="Default: the source's.")

    @model_validator(mode="after")
    def _has_a_login_of_its_own(self) -> Self:
        if self.url is None and (self.username is None or self.password is None):
            raise ValueError("give a url, or a username and its password: actions do not use the reading login")
        return self


def acting_topology(source: Topology, actions: ActionsConnection) -> Topology:
    """The primary of the source's Redis, also where a replica is read. Raises ValueError by key, without values."""
    is_alone = source.mode == "standalone"
    if actions.url is not None and not is_alone:
        raise ValueError(f"actions.url: of no effect with mode {source.mode}: give username and password")
    url = actions.url or (_without_login(source.url) if source.url else None)
    has_tls = not is_alone or (url is not None and url.get_secret_value().startswith("rediss://"))
    given = {
        "mode": source.mode,
        "url": url,
        "nodes": () if is_alone else source.nodes,
        "master": source.master,
        "db": source.db,
        "tls": source.tls if has_tls else None,
        "credentials": _credentials(source.credentials, actions),
    }
    try:
        return Topology.model_validate(given)
    except ValidationError as error:
        raise ValueError(f"actions: {explain(error)}") from None


def _credentials(reading: Credentials | None, actions: ActionsConnection) -> Credentials | None:
    """The actions' own; the sentinels are asked as the source asks them, unless they say otherwise."""
    at_sentinels = reading if reading and actions.sentinel_password is None else actions
    login = Credentials(
        username=actions.username,
        password=actions.password,
        sentinel_username=at_sentinels.sentinel_username,
        sentinel_password=at_sentinels.sentinel_password,
    )
    return login if login.model_dump(exclude_none=True) else None


def _without_login(url: SecretStr) -> SecretStr:
    """redis-py takes a login from the query too."""
    address, _, query = url.get_secret_value().partition("?")
    scheme, _, place = address.partition("://")
    authority, slash, path = place.partition("/")
    kept = urlencode([pair for pair in parse_qsl(query) if pair[0] not in ("username", "password")])
    return SecretStr(f"{scheme}://{authority.rpartition('@')[2]}{slash}{path}{'?' if kept else ''}{kept}")
