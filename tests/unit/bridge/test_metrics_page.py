"""docs/metrics.md says what the bridge measures, and where another exporter's names went."""

from tests.generate.metrics_page import EXPORTERS, PAGE, metrics, page


def test_the_page_is_what_the_code_says() -> None:
    assert PAGE.read_text() == page(), "run `python -m tests.generate.metrics_page`"


def test_every_name_of_another_exporter_has_a_counterpart_that_exists() -> None:
    known = {one.name for one in metrics()}
    ours = {name for names in EXPORTERS.values() for those in names.values() for name in those}
    assert ours - known == set()


def test_names_follow_prometheus_conventions() -> None:
    for one in metrics():
        assert one.name.startswith("bridge_")
        assert one.name.endswith("_total") == (one.kind == "counter"), one.name
        assert set(one.labels) <= {"source", "queue", "state", "call", "action", "outcome", "dependency"}, one.name
        assert one.kind != "histogram" or one.unit == "seconds", one.name
