"""Who is let in to the bot's internal API, and when."""

from litestar import Litestar, get
from litestar.testing import TestClient
from pydantic import SecretStr
from structlog.testing import capture_logs

from bot.internal.app import internal_router

TOKEN = "service-token-of-the-test"


@get("/internal/v1/x", sync_to_thread=False)
def answer() -> str:
    return "x"


def test_who_asks_before_the_tables_are_there_is_put_off_without_a_line_in_the_log() -> None:
    tables: list[str] = []
    router = internal_router([answer], SecretStr(TOKEN), lambda: bool(tables))
    with TestClient(Litestar([router])) as client, capture_logs() as logged:
        ours = {"authorization": f"Bearer {TOKEN}"}
        early = client.get("/internal/v1/x", headers=ours)
        assert (early.status_code, early.json()["error"], early.headers["retry-after"]) == (503, "starting", "5")
        assert client.get("/internal/v1/x").status_code == 401, "strangers are told nothing"
        tables.append("api_tokens")
        assert client.get("/internal/v1/x", headers=ours).text == "x"
    assert logged == []
