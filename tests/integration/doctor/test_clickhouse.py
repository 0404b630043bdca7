"""The doctor on ClickHouse, over HTTP and embedded: what it refuses, told apart."""

import re
from pathlib import Path
from typing import Any

import pytest
from litestar import Request, Response, post

from tests.integration.doctor.findings import WRONG, answering, only
from tocsin.doctor import Verdict
from tocsin.doctor.clickhouse import check_clickhouse

CLICKHOUSE_DOC = (Path(__file__).parents[3] / "docs" / "clickhouse.md").read_text()


async def test_clickhouse_is_asked_at_its_own_port_when_the_address_names_none() -> None:
    for scheme, port in (("http", 8123), ("https", 8443)):
        assert f"127.0.0.1:{port}" in str(await check_clickhouse({"CLICKHOUSE_URL": f"{scheme}://127.0.0.1/d"}))


@pytest.mark.parametrize(
    ("status", "code", "word"),
    [(403, "516", "password"), (404, "81", "no database"), (403, "497", "GRANT"), (500, "999", "error 999")],
)
async def test_what_clickhouse_refuses_is_told_apart(status: int, code: str, word: str) -> None:
    """A stand-in for the server's HTTP interface: only its error numbers are used."""

    @post("/", sync_to_thread=False)
    def refuse() -> Response[str]:
        return Response("DB::Exception", status_code=status, headers={"X-ClickHouse-Exception-Code": code})

    async with answering(refuse) as at:
        url = f"http://tocsin:{WRONG}@{at.removeprefix('http://')}/tocsin"
        finding = only(await check_clickhouse({"CLICKHOUSE_URL": url}), Verdict.BAD)
    assert word in finding.found + finding.mend
    assert WRONG not in str(finding)


@pytest.mark.parametrize(
    ("user", "has_tables", "verdict", "word"),
    [
        ("of a DBA", True, Verdict.OK, "a DBA brings its tables up to date"),
        ("of a DBA", False, Verdict.WARN, "--print-sql"),
        ("that migrates", False, Verdict.OK, "database tocsin"),
        ("that only reads", True, Verdict.BAD, "GRANT SELECT, INSERT ON tocsin.*"),
    ],
)
async def test_the_least_rights_of_the_docs_are_enough_for_clickhouse(
    user: str, has_tables: bool, verdict: Verdict, word: str
) -> None:
    """A stand-in that answers CHECK GRANT by the GRANTs of docs/clickhouse.md: the embedded engine has no users."""
    least, migrating = (set(rights.split(", ")) for rights in re.findall(r"GRANT (.*) ON tocsin\.\*", CLICKHOUSE_DOC))
    granted = {"of a DBA": least, "that migrates": least | migrating, "that only reads": {"SELECT"}}[user]

    @post("/", status_code=200)
    async def answer(request: Request[Any, Any, Any]) -> str:
        query = (await request.body()).decode()
        if asked := re.fullmatch(r"CHECK GRANT (.*) ON \*", query):
            return str(int(set(asked[1].split(", ")) <= granted))
        return str(int(has_tables)) if "system.tables" in query else "26.9"

    async with answering(answer) as at:
        [finding] = await check_clickhouse({"CLICKHOUSE_URL": f"{at}/tocsin"})
    assert finding.verdict is verdict, finding
    assert word in finding.found + finding.mend


async def test_a_place_for_the_embedded_clickhouse_must_be_a_directory(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    assert (
        "written" in only(await check_clickhouse({"CLICKHOUSE_URL": f"chdb://{tmp_path}/file/db"}), Verdict.BAD).found
    )
