"""The doctor on addresses: the public one, the CAs behind others, and who logs in there."""

from pathlib import Path

import pytest
from litestar import Response, get, post

from tests.certificate import make_certificate
from tests.integration.doctor.findings import TOKEN, WRONG, answering, bad, only
from tests.ports import free_port
from tests.servers.pgbouncer import running_pgbouncer
from tests.tcp import tls_before
from tocsin.doctor import Verdict
from tocsin.doctor.clickhouse import check_clickhouse
from tocsin.doctor.consul import check_consul
from tocsin.doctor.postgres import check_postgres
from tocsin.doctor.public_url import check_public_url
from tocsin.doctor.telegram import check_telegram


@pytest.mark.parametrize(
    ("status", "body", "verdict", "words"),
    [
        (200, '{"items": []}', Verdict.OK, "Tocsin answers"),
        (401, '{"detail": "please log in"}', Verdict.OK, "Tocsin answers"),
        (401, "<h1>401 Unauthorized</h1>", Verdict.OK, "asks for a password"),
        (403, '{"detail": "not served under this name"}', Verdict.WARN, "refuses to be called that"),
        (403, "<h1>Forbidden</h1>", Verdict.WARN, "not as Tocsin does"),
        (302, "", Verdict.OK, "log in elsewhere (sso.example.com)"),
        (503, "", Verdict.WARN, "no logsvc behind it"),
        (404, "<h1>Welcome to nginx</h1>", Verdict.WARN, "not as Tocsin does"),
        (200, "<h1>It works</h1>", Verdict.WARN, "not as Tocsin does"),
    ],
)
async def test_what_answers_at_the_public_address_is_told(status: int, body: str, verdict: Verdict, words: str) -> None:
    @get("/tocsin/api/v1/queues", sync_to_thread=False)
    def queues() -> Response[str]:
        told = {"location": "https://sso.example.com/x", "www-authenticate": 'Basic realm="Tocsin"'}
        return Response(body, status_code=status, headers=told)

    async with answering(queues) as url:
        [found] = await check_public_url({"PUBLIC_URL": f"{url}/tocsin/"})
    assert found.verdict is verdict, found
    assert words in found.found
    [nothing] = await check_public_url({"PUBLIC_URL": f"http://127.0.0.1:{free_port()}"})
    assert "nothing answers" in nothing.found


async def test_a_ca_that_signed_nothing_here_is_named_for_clickhouse_and_postgres(
    postgres_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Postgres stands behind a PgBouncer with TLS, a stand-in for ClickHouse behind TLS too."""
    (tmp_path / "other").mkdir()
    certificate, other = make_certificate(tmp_path), make_certificate(tmp_path / "other")

    @post("/", sync_to_thread=False, status_code=200)
    def one() -> str:
        return "1"

    async with (
        running_pgbouncer(tmp_path, postgres_url, certificate) as pooled,
        answering(one) as url,
        tls_before(int(url.rpartition(":")[2]), certificate) as secured,
    ):
        address = f"{pooled}?sslmode=verify-full".replace("127.0.0.1", "localhost")
        monkeypatch.setenv("PGSSLROOTCERT", str(other))
        wrong = only(await check_postgres({"DATABASE_URL": address}), Verdict.BAD)
        assert "is not trusted" in wrong.found
        assert "PGSSLROOTCERT" in wrong.mend
        monkeypatch.setenv("PGSSLROOTCERT", str(certificate))
        assert not await bad(check_postgres({"DATABASE_URL": address}))

        environ = {"CLICKHOUSE_URL": f"https://localhost:{secured}/tocsin"}
        for ca_file in ("", str(other)):
            wrong = only(await check_clickhouse({**environ, "CLICKHOUSE_CA_FILE": ca_file}), Verdict.BAD)
            assert "is not trusted" in wrong.found
            assert "CLICKHOUSE_CA_FILE" in wrong.mend
        assert not await bad(check_clickhouse({**environ, "CLICKHOUSE_CA_FILE": str(certificate)}))
        [unread] = await bad(check_clickhouse({**environ, "CLICKHOUSE_CA_FILE": str(tmp_path / "absent")}))
        assert "CLICKHOUSE_CA_FILE" in unread.found


async def test_who_logs_in_is_no_part_of_a_printed_address() -> None:
    at = f"127.0.0.1:{free_port()}"
    consul = await check_consul({"CONSUL_HTTP_ADDR": f"http://ann:{WRONG}@{at}"})
    telegram = await check_telegram({"TELEGRAM_BOT_TOKEN": TOKEN, "TELEGRAM_API_URL": f"http://ann:{WRONG}@{at}"})
    for findings in (consul, telegram):
        assert at in str(findings)
        assert WRONG not in str(findings)
