"""
Feeds one parser by what its code does with each input: `python -m tests.fuzz.coverage_guided "JSON body" 70000`.

A process for each parser, because the fuzzer ends its process. The corpus that it gathers is kept for the next run in
`.fuzz-corpus/`. Prints one line of JSON at the end; a finding ends the process with a trace and the input.

Source: https://github.com/google/atheris
"""

from __future__ import annotations

import json
import os
import sys
import time
from pathlib import Path

import atheris

with atheris.instrument_imports(include=["czo_auth"]):
    from tests.fuzz.parsers import TARGETS

MAX_LENGTH = 4096
CORPUS = Path(".fuzz-corpus")
_COUNTS = {"accepted": 0, "refused": 0}


def main(name: str, runs: int) -> None:
    target = TARGETS[name]
    corpus = CORPUS / name.replace(" ", "-")
    corpus.mkdir(parents=True, exist_ok=True)
    for number, seed in enumerate(target.seeds):
        (corpus / f"seed-{number}").write_bytes(seed)
    dictionary = CORPUS / f"{corpus.name}.dict"
    dictionary.write_text("".join(f'"{_quoted(word)}"\n' for word in target.words))
    began = time.monotonic()

    def one(data: bytes) -> None:
        _COUNTS["accepted" if target.check(data) else "refused"] += 1
        # Counted here, because the fuzzer ends its process without coming back.
        if sum(_COUNTS.values()) == runs:
            print(json.dumps({"target": name, **_COUNTS, "seconds": round(time.monotonic() - began, 1)}))
            sys.stdout.flush()
            os._exit(0)

    options = [
        f"-max_len={MAX_LENGTH}",
        "-timeout=10",
        "-rss_limit_mb=1500",
        f"-dict={dictionary}",
        "-verbosity=0",
    ]
    artifacts = f"-artifact_prefix={CORPUS}/finding-{corpus.name}-"
    atheris.Setup([sys.argv[0], *options, artifacts, str(corpus)], one)
    atheris.Fuzz()


def _quoted(word: bytes) -> str:
    return "".join(f"\\x{byte:02x}" for byte in word)


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
