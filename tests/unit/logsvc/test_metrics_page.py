"""docs/logsvc.md says what logsvc measures."""

from tests.generate.metrics_page import LOGSVC_PAGE, logsvc_end, logsvc_metrics


def test_the_page_ends_with_what_the_code_says() -> None:
    assert LOGSVC_PAGE.read_text().endswith(logsvc_end()), "run `python -m tests.generate.metrics_page`"


def test_names_follow_prometheus_conventions() -> None:
    for one in logsvc_metrics():
        assert one.name.startswith("logsvc_")
        assert one.name.endswith("_total") == (one.kind == "counter"), one.name
