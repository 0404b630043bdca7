"""The API as it is put together: it describes itself as JSON, and shows no page that loads scripts from elsewhere."""

import pytest
from litestar import get
from litestar.testing import TestClient
from prometheus_client import CollectorRegistry

from logsvc.api.build import build_api
from tocsin.health import Health

PAGES = [
    f"{base}{page}"
    for base in ("/schema", "/api/v1/schema", "/openapi.json")
    for page in ("", "/", "/redoc", "/swagger", "/elements", "/rapidoc", "/scalar", "/oauth2-redirect.html")
]


@get("/api/v1/probe", summary="A route to describe", sync_to_thread=False)
def probe() -> str:
    return ""


@pytest.mark.parametrize("path", PAGES)
def test_no_page_loads_scripts_from_elsewhere(path: str) -> None:
    with TestClient(build_api([probe], Health(), CollectorRegistry(), lambda: None)) as client:
        answer = client.get(path)
        assert not any(mark in answer.text for mark in ("<script", "<link", "<iframe", "<img"))
        assert answer.status_code == (200 if path in ("/openapi.json", "/openapi.json/") else 404)


def test_the_api_describes_itself() -> None:
    with TestClient(build_api([probe], Health(), CollectorRegistry(), lambda: None)) as client:
        answer = client.get("/openapi.json")
        assert answer.headers["content-type"] == "application/json"
        assert "/api/v1/probe" in answer.json()["paths"]
