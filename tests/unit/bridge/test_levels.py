"""Levels of log lines, as loggers write them."""

import pytest

from bridge.sources.bullmq.logs import levels
from tocsin.events import Level


@pytest.mark.parametrize(
    ("line", "level"),
    [
        ("plain words", Level.INFO),
        ("", Level.INFO),
        ("[ERROR] gateway", Level.ERROR),
        ("ERROR: x", Level.ERROR),
        ("error happened", Level.ERROR),
        ("errors: 0", Level.INFO),
        ("2026-01-02T03:04:05.678Z [warn] slow", Level.WARN),
        ("2026-01-02 03:04:05,678 - WARNING - slow", Level.WARN),
        ("[debug] x", Level.DEBUG),
        ("<fatal> x", Level.ERROR),
        ("information", Level.INFO),
        ('{"level":"warn","msg":"x"}', Level.WARN),
        ('{"level":50,"msg":"x"}', Level.ERROR),
        ('{"level":60}', Level.ERROR),
        ('{"level":40}', Level.WARN),
        ('{"level":30}', Level.INFO),
        ('{"level":20}', Level.DEBUG),
        ('{"severity":"CRITICAL"}', Level.ERROR),
        ('{"level":"\\ud800"}', Level.INFO),
        ('{"level":null}', Level.INFO),
        ('{"level":{"a":1}}', Level.INFO),
        ("{not json", Level.INFO),
        ('{"x":' * 3000, Level.INFO),
        ("שגיאה ERROR", Level.INFO),
        ('{"level":"silly","message":"winston"}', Level.DEBUG),
        ('{"level":"verbose"}', Level.DEBUG),
        ('{"level":"http"}', Level.INFO),
        ('{"level":"notice"}', Level.INFO),
        ('{"level":"alert"}', Level.ERROR),
        ('{"level":"emerg"}', Level.ERROR),
        ('{"level":"crit"}', Level.ERROR),
        ('{"level":"\\u001b[31merror\\u001b[39m","message":"winston colorize"}', Level.ERROR),
        ('{"level":"50","msg":"a number as text"}', Level.ERROR),
        ('{"level":10}', Level.DEBUG),
        ('{"level":35,"msg":"a level of the app\'s own"}', Level.INFO),
        ('{"level":3,"short_message":"syslog"}', Level.ERROR),
        ('{"level":4}', Level.WARN),
        ('{"level":6}', Level.INFO),
        ('{"level":7}', Level.DEBUG),
        ('{"level":true}', Level.INFO),
        ('{"log.level":"error","message":"Elastic"}', Level.ERROR),
        ('{"levelname":"WARNING"}', Level.WARN),
        ("\x1b[31merror\x1b[39m: winston in colours", Level.ERROR),
        ("[12:34:56.789] \x1b[33mWARN\x1b[39m (4242): pino-pretty", Level.WARN),
        ("[2026-01-02 03:04:05] ERROR x", Level.ERROR),
        ("01/02/2026, 3:04:05 AM ERROR x", Level.ERROR),
        ("2026-01-02 03:04:05,678 - jobs.mail - ERROR - python", Level.ERROR),
        ("[ALERT] disk", Level.ERROR),
        ("Alert sent to the customer", Level.INFO),
        ("HTTP 500", Level.INFO),
        ("error=0 warnings=2", Level.INFO),
        ('time="2026-01-02T03:04:05Z" level=warning msg="logrus"', Level.WARN),
        ("level=50 msg=x", Level.ERROR),
        ("the level=error of a sentence", Level.ERROR),
        ("sea-level=50", Level.INFO),
    ],
)
def test_level_is_read_from_the_line(line: str, level: Level) -> None:
    assert levels.level_of(line) is level


def test_endless_line_is_not_searched_for_its_level(monkeypatch: pytest.MonkeyPatch) -> None:
    """A date is any run of digits, and the search for what follows it begins again at each."""
    looked_at: list[int] = []

    class Noting:
        def match(self, line: str) -> None:
            looked_at.append(len(line))

    monkeypatch.setattr(levels, "_BEGINNING", Noting())
    levels.level_of("1" * 5_000_000)
    assert looked_at == [levels.LEVEL_CHARACTERS]
