"""What the doctor says of the login."""

import pytest

from tocsin.doctor.finding import Verdict
from tocsin.doctor.login import check_login

GOOD = {
    "SESSION_SECRET": "0123456789abcdef" * 3,
    "TOCSIN_SERVICE_TOKEN": "fedcba9876543210" * 2,
    "PUBLIC_URL": "https://tocsin.example.com",
}


@pytest.mark.parametrize(
    ("change", "verdict", "says"),
    [
        ({}, Verdict.OK, "by links from the bot, and by API tokens"),
        ({"TRUSTED_PROXIES": "10.0.0.5", "LOGSVC_PROXY_USER_HEADER": "X-User"}, Verdict.OK, "and a trusted proxy"),
        ({"SESSION_SECRET": ""}, Verdict.NOTE, "to this machine only"),
        ({"SESSION_SECRET": "a" * 40}, Verdict.WARN, "SESSION_SECRET is easy to guess"),
        ({"TOCSIN_SERVICE_TOKEN": "secret"}, Verdict.WARN, "TOCSIN_SERVICE_TOKEN is easy to guess"),
        ({"PUBLIC_URL": ""}, Verdict.WARN, "login links lead to 127.0.0.1"),
        ({"PUBLIC_URL": "http://tocsin.example.com"}, Verdict.BAD, "PUBLIC_URL is not https"),
        ({"PUBLIC_URL": "http://localhost:8080"}, Verdict.OK, "by links from the bot"),
        ({"SESSION_SECRET": "", "SESSION_SECRET_FILE": "/no/such"}, Verdict.BAD, "SESSION_SECRET_FILE: cannot be read"),
    ],
)
async def test_it_says_who_gets_in_and_what_is_weak(change: dict[str, str], verdict: Verdict, says: str) -> None:
    findings = await check_login({**GOOD, **change})
    assert any(one.verdict is verdict and says in one.found for one in findings), findings
    told = str(findings)
    assert not any(secret and secret in told for secret in (GOOD["SESSION_SECRET"], GOOD["TOCSIN_SERVICE_TOKEN"]))
