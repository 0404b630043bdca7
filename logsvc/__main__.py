"""`python -m logsvc`: run the service. `--check`: only look at the settings. `--migrate`: prepare ClickHouse and exit;
`--print-sql`: show what that runs.
"""

import argparse
import asyncio
import gc
import logging
import sys

from logsvc.errors import LogsvcError
from logsvc.settings import LogsvcSettings, TableSettings
from tocsin.lifecycle import run_service
from tocsin.log_topic import LogTopic
from tocsin.logs import set_up_service_logs
from tocsin.settings import load


def main() -> int:
    """Return the exit status: 0 done, drained, or settings that are right, 1 crashed, 2 wrong settings."""
    asked = parser_of_options().parse_args()
    if asked.check:
        load(LogsvcSettings)
        return 0
    from logsvc import app
    from logsvc.schema import migrate

    if asked.print_sql:
        wanted = load(TableSettings)
        sql = migrate.migration_sql(wanted.logsvc_retention_days, wanted.search_index, wanted.clickhouse_cluster)
        sys.stdout.write(sql)
        return 0
    settings = load(LogsvcSettings)
    lines = LogTopic(settings)
    set_up_service_logs(settings, None if asked.migrate else lines)
    for library in ("urllib3", "clickhouse_connect"):  # the store says the same once, in our words
        logging.getLogger(library).setLevel(logging.CRITICAL)
    if asked.migrate:
        try:
            asyncio.run(migrate.migrate(settings))
        except LogsvcError as error:
            sys.stderr.write(f"logsvc cannot prepare ClickHouse: {error}\n")
            return 1
        return 0
    # The ring and what waits for a block live for seconds and are no cycles: to look for cycles often stalls viewers.
    gc.freeze()
    gc.set_threshold(50_000, 20, 50)
    return run_service("logsvc", lambda stop: app.run(settings, stop, lines))


def parser_of_options() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="logsvc", description=__doc__)
    what = parser.add_mutually_exclusive_group()
    what.add_argument("--check", action="store_true", help="name every problem of the settings, then exit")
    what.add_argument("--migrate", action="store_true", help="bring ClickHouse's tables up to date, then exit")
    what.add_argument("--print-sql", action="store_true", help="print the SQL of --migrate for a DBA, then exit")
    return parser


if __name__ == "__main__":
    sys.exit(main())
