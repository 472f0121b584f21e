"""Load from many connections: wrk if it is installed, else a small client of our own."""

from __future__ import annotations

import asyncio
import json
import os
import random
import shutil
import subprocess
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

CONNECTIONS = 32

# Requests are built once, or wrk would need more CPU than the server.
_SCRIPT = """
local requests = {}
local file = os.getenv("BENCH_TOKENS")
local path = os.getenv("BENCH_PATH")
local asker = os.getenv("BENCH_ASKER")
if asker then
  for line in io.lines(file) do
    local body = "token=" .. line
    requests[#requests + 1] = "POST " .. path .. " HTTP/1.1\\r\\nHost: 127.0.0.1\\r\\n"
      .. "Content-Type: application/x-www-form-urlencoded\\r\\nContent-Length: " .. #body .. "\\r\\n"
      .. "Authorization: Bearer " .. asker .. "\\r\\n\\r\\n" .. body
  end
elseif file then
  for line in io.lines(file) do
    requests[#requests + 1] = "GET " .. path .. " HTTP/1.1\\r\\nHost: 127.0.0.1\\r\\n"
      .. "Authorization: Bearer " .. line .. "\\r\\n\\r\\n"
  end
else
  requests[1] = "GET " .. path .. " HTTP/1.1\\r\\nHost: 127.0.0.1\\r\\n\\r\\n"
end
math.randomseed(tonumber(os.getenv("BENCH_SEED")))
request = function() return requests[math.random(#requests)] end
done = function(summary, latency, _)
  local e = summary.errors
  print(string.format('RESULT {"requests": %d, "seconds": %f, "failures": %d, "p50": %f, "p99": %f, "max": %f}',
    summary.requests, summary.duration / 1e6, e.connect + e.read + e.write + e.status + e.timeout,
    latency:percentile(50) / 1e3, latency:percentile(99) / 1e3, latency.max / 1e3))
end
"""


@dataclass(frozen=True)
class Load:
    """The result of a load. Latencies are in milliseconds."""

    requests: int
    seconds: float
    failures: int
    p50: float
    p99: float
    max: float

    @property
    def rate(self) -> float:
        return self.requests / self.seconds


def generator() -> str:
    """Return the name of the load generator."""
    return "wrk" if shutil.which("wrk") else "asyncio client"


def bear(
    port: int,
    path: str,
    tokens: Path | None,
    *,
    seconds: float,
    connections: int = CONNECTIONS,
    asker: str | None = None,
) -> Load:
    """
    Send requests to a port of 127.0.0.1 for *seconds*, each with a random one of *tokens*.

    Args:
        asker: A key that asks about the tokens, which go into the body of a POST.
    """
    if shutil.which("wrk"):
        return _wrk(port, path, tokens, seconds=seconds, connections=connections, asker=asker)
    lines = tokens.read_text().split() if tokens else []
    requests = [_request(path, line, asker) for line in lines] or [_request(path, None, None)]
    return asyncio.run(_clients(port, requests, seconds=seconds, connections=connections))


async def paced(
    port: int, path: str, token: str, *, seconds: float, clients: int = 4, pause: float = 0.02
) -> Load:
    """
    Send requests at a low rate, by default two hundred per second.

    Args:
        clients: Connections.
        pause: Of each connection between two requests. Unit: seconds.

    Raises:
        RuntimeError: A request was refused.
    """
    times: list[float] = []
    failures = 0
    begun_at = time.monotonic()
    request = f"GET {path} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {token}\r\n\r\n".encode()

    async def client() -> None:
        nonlocal failures
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        while time.monotonic() < begun_at + seconds:
            begun = time.perf_counter()
            writer.write(request)
            failures += await _answer(reader) != 200
            times.append((time.perf_counter() - begun) * 1000)
            await asyncio.sleep(pause)
        writer.close()

    await asyncio.gather(*(client() for _ in range(clients)))
    if failures:
        raise RuntimeError(f"{failures} of {len(times)} requests for {path} were refused")
    return _load(times, time.monotonic() - begun_at, failures)


def _request(path: str, token: str | None, asker: str | None) -> bytes:
    host = "HTTP/1.1\r\nHost: 127.0.0.1\r\n"
    if token is None:
        return f"GET {path} {host}\r\n".encode()
    if asker is None:
        return f"GET {path} {host}Authorization: Bearer {token}\r\n\r\n".encode()
    body = f"token={token}"
    head = f"Content-Type: application/x-www-form-urlencoded\r\nContent-Length: {len(body)}\r\n"
    return f"POST {path} {host}{head}Authorization: Bearer {asker}\r\n\r\n{body}".encode()


def _wrk(
    port: int, path: str, tokens: Path | None, *, seconds: float, connections: int, asker: str | None
) -> Load:
    env = {"PATH": os.environ["PATH"], "BENCH_PATH": path, "BENCH_SEED": str(random.randrange(2**31))}
    if tokens is not None:
        env["BENCH_TOKENS"] = str(tokens)
    if asker is not None:
        env["BENCH_ASKER"] = asker
    # A file, because wrk reads it once per thread and once more.
    with tempfile.NamedTemporaryFile("w", suffix=".lua") as script:
        script.write(_SCRIPT)
        script.flush()
        command = ["wrk", "-t1", f"-c{connections}", f"-d{max(1, round(seconds))}s", "-s", script.name]
        ran = subprocess.run(
            [*command, f"http://127.0.0.1:{port}{path}"],
            env=env,
            capture_output=True,
            text=True,
            timeout=seconds + 30,
            check=True,
        )
    line = next(line for line in ran.stdout.splitlines() if line.startswith("RESULT "))
    return Load(**json.loads(line.removeprefix("RESULT ")))


async def _clients(port: int, requests: list[bytes], *, seconds: float, connections: int) -> Load:
    times: list[float] = []
    failures = 0
    end = time.monotonic() + seconds

    async def client() -> None:
        nonlocal failures
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        while time.monotonic() < end:
            begun = time.perf_counter()
            writer.write(random.choice(requests))
            status = await _answer(reader)
            times.append((time.perf_counter() - begun) * 1000)
            failures += status != 200
        writer.close()

    begun = time.monotonic()
    await asyncio.gather(*(client() for _ in range(connections)))
    return _load(times, time.monotonic() - begun, failures)


def _load(times: list[float], seconds: float, failures: int) -> Load:
    times.sort()
    return Load(
        requests=len(times),
        seconds=seconds,
        failures=failures,
        p50=times[len(times) // 2],
        p99=times[int(len(times) * 0.99)],
        max=times[-1],
    )


async def _answer(reader: asyncio.StreamReader) -> int:
    head = await reader.readuntil(b"\r\n\r\n")
    for line in head.lower().split(b"\r\n"):
        if line.startswith(b"content-length:"):
            await reader.readexactly(int(line.partition(b":")[2]))
        elif line == b"transfer-encoding: chunked":
            await reader.readuntil(b"0\r\n\r\n")
    return int(head.split(b" ", 2)[1])
