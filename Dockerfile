# syntax=docker/dockerfile:1
# One image for bridge, logsvc and bot. Every package is pinned and hashed by requirements.lock; the page is built here.

FROM python:3.11.14-slim-bookworm AS build
WORKDIR /src
RUN python -m venv /opt/build && python -m venv /opt/tocsin
COPY pyproject.toml requirements.lock ./
# The lock file also holds what only tests and the embedded servers need: keep what pyproject.toml asks of a service.
COPY <<'SCRIPT' /tmp/subset.py
import json, re, subprocess, sys, tomllib
extra, out = sys.argv[1:]
lock = open("requirements.lock").read()
project = tomllib.load(open("pyproject.toml", "rb"))["project"]
asked = project["optional-dependencies"][extra] if extra else project["dependencies"]
open("/tmp/pins.txt", "w").write("\n".join(re.findall(r"^[\w.-]+==[^\s;\\]+", lock, re.M)))
pip = [sys.executable, "-m", "pip", "install", "--quiet", "--dry-run", "--ignore-installed", "--report", "-"]
report = subprocess.run([*pip, "-c", "/tmp/pins.txt", *asked], check=True, stdout=subprocess.PIPE, text=True).stdout
plain = lambda name: re.sub(r"[-_.]+", "-", name).lower()
wanted = {plain(item["metadata"]["name"]) for item in json.loads(report)["install"]}
blocks = [block for block in re.split(r"\n(?=\S)", lock) if plain(re.split(r"[=\s;\[]", block, maxsplit=1)[0]) in wanted]
open(out, "w").write("\n".join(blocks) + "\n")
SCRIPT
RUN python /tmp/subset.py build /tmp/build.lock \
    && /opt/build/bin/pip install --no-cache-dir --no-deps --require-hashes -r /tmp/build.lock \
    && python /tmp/subset.py "" /tmp/runtime.lock \
    && /opt/tocsin/bin/pip install --no-cache-dir --no-deps --require-hashes -r /tmp/runtime.lock
COPY . .
RUN /opt/build/bin/pip wheel --no-cache-dir --no-deps --no-build-isolation --wheel-dir /tmp/wheel . \
    && /opt/tocsin/bin/pip install --no-cache-dir --no-deps /tmp/wheel/*.whl

FROM python:3.11.14-slim-bookworm
COPY --from=build /opt/tocsin /opt/tocsin
RUN useradd --system --uid 10001 --no-create-home tocsin
ENV PATH=/opt/tocsin/bin:$PATH PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1
USER 10001:10001
STOPSIGNAL SIGTERM
ENTRYPOINT ["tocsin"]
CMD ["--help"]
