"""Which log lines reach the console."""

import json

from tocsin.stack.supervise import last_words, short


def test_warnings_and_errors_are_shown_with_their_details() -> None:
    line = json.dumps({"level": "warning", "event": "batch_rejected", "rows": 3, "timestamp": "t", "service": "logsvc"})
    assert short(line) == "warning  batch_rejected rows=3"


def test_a_crash_names_its_cause() -> None:
    line = json.dumps({"level": "error", "event": "crashed", "exception": "Traceback …\n  File …\nValueError: no"})
    assert short(line) == "error    crashed: ValueError: no"


def test_information_stays_in_the_file() -> None:
    assert short(json.dumps({"level": "info", "event": "started"})) is None


def test_an_uncaught_error_is_told_when_the_process_has_ended() -> None:
    assert last_words('{"event": "x"}\nTraceback …\n  File …\nNameError: no\n\n') == " (NameError: no)"
    assert last_words('{"event": "stopped"}\n') == ""
    assert last_words("") == ""


def test_lines_that_are_no_records_stay_in_the_file() -> None:
    assert short("some library talks to itself") is None
    assert short("[1, 2]") is None
