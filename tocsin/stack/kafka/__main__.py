"""Apache Kafka in the foreground: `python -m tocsin.stack.kafka --data DIR [--port N] [--with-pid PID]`.

Prints `ready host:port` when it serves, ends in order on SIGTERM or Ctrl-C, and also ends when process PID is gone.
"""

import os
import sys
from pathlib import Path

from tocsin.stack.cache import cache_dir
from tocsin.stack.foreground import foreground
from tocsin.stack.kafka import NoKafka, find_kafka, start_kafka
from tocsin.stack.ports import Ports
from tocsin.stack.process import StartFailed
from tocsin.stack.server import Server


async def _start(data: Path, ports: Ports, preferred: int) -> Server:
    environ = dict(os.environ)
    try:
        program = await find_kafka(cache_dir(environ), environ, lambda line: print(line, file=sys.stderr))
    except NoKafka as error:
        raise StartFailed(str(error)) from error
    return await start_kafka(program, data, ports, preferred)


if __name__ == "__main__":
    sys.exit(foreground("kafka", _start))
