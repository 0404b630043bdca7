"""`python -m tocsin.stack.workload [--rate X] [--seed N]`: run the sample app on REDIS_URL."""

import argparse
import asyncio
import os
import sys

from tocsin.stack.workload.run import run


def main() -> int:
    """Run until told to stop; 2 when REDIS_URL is missing."""
    parser = argparse.ArgumentParser(prog="python -m tocsin.stack.workload", description="Sample BullMQ app.")
    parser.add_argument("--rate", type=float, default=1.0, help="jobs, times the usual 3 a second")
    parser.add_argument("--seed", type=int, help="make its choices repeatable")
    arguments = parser.parse_args()
    redis_url = os.environ.get("REDIS_URL")
    if not redis_url:
        print("REDIS_URL: required, not set", file=sys.stderr)
        return 2
    asyncio.run(run(redis_url, rate=arguments.rate, seed=arguments.seed))
    return 0


if __name__ == "__main__":
    sys.exit(main())
