"""
Build a release from a clean tree and test it as users install it; nothing is published.

``make release`` leaves the wheel and the source distribution in ``dist/``, and their CycloneDX bill of materials and
SHA-256 sums in ``dist-sbom/``. Both distributions are built twice and must be the same bytes: the time in them is that
of the commit (SOURCE_DATE_EPOCH). Each is installed into an empty environment with the pinned packages, migrates,
serves and plays the demo there.

``--publish`` also demands a section of the version in CHANGELOG.md, and the version's tag on the commit.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import tomllib
import urllib.error
import urllib.request
from collections.abc import Mapping, Sequence
from pathlib import Path

PINS = "requirements/base.txt"
START_SECONDS = 120
COMMAND_SECONDS = 900
READY = re.compile(r"is ready on (http://\S+)")


class ReleaseRefused(Exception):
    """This tree cannot be released; the message says why."""


def release(root: Path, *, publish: bool) -> None:
    """
    Build and check everything in *root*.

    Raises:
        ReleaseRefused: The tree is not clean, a build differs from its repetition, or an installation does not work;
            to publish, the tag or the changelog's section is missing.
    """
    refuse_dirty(root)
    version = _version(root)
    if publish:
        refuse_untagged(root, version)
    _check_changelog(root, version, demanded=publish)
    environment = {**os.environ, "SOURCE_DATE_EPOCH": run(root, "git", "log", "-1", "--format=%ct").strip()}
    with tempfile.TemporaryDirectory(prefix="czo-auth-release-") as name:
        folder = Path(name)
        built = build(root, folder / "first", environment)
        _refuse_different(built, build(root, folder / "second", environment))
        materials = bill_of_materials(root, folder / f"czo-auth-{version}.cdx.json", environment)
        for distribution in built:
            _say(f"{distribution.name} in an empty environment:")
            try_out(root, distribution, folder / f"try-{distribution.suffix[1:]}")
        _keep(root, built, materials)
    for path in sorted([*(root / "dist").iterdir(), *(root / "dist-sbom").iterdir()]):
        _say(f"{path.relative_to(root)}  {path.stat().st_size:,} bytes")
    refuse_dirty(root)


def refuse_dirty(root: Path) -> None:
    """
    Refuse a tree in which anything differs from its commit.

    Raises:
        ReleaseRefused: It names the files.
    """
    changed = run(root, "git", "status", "--porcelain").splitlines()
    if changed:
        names = ", ".join(line[3:] for line in changed[:5]) + (" …" if len(changed) > 5 else "")
        raise ReleaseRefused(f"the tree is not clean: commit or remove {names}")


def refuse_untagged(root: Path, version: str) -> None:
    """
    Refuse a commit without the tag of *version*: what is published would not be what the tag says.

    Raises:
        ReleaseRefused: It names the tag.
    """
    tag = f"v{version}"
    if tag not in run(root, "git", "tag", "--points-at", "HEAD").split():
        raise ReleaseRefused(f"this commit has no tag {tag}, and pyproject.toml says version {version}")


def build(root: Path, folder: Path, environment: Mapping[str, str]) -> list[Path]:
    """Build the source distribution, and the wheel from it, with the pinned build backend."""
    run(
        root,
        *(sys.executable, "-m", "build", "--no-isolation", "--outdir", str(folder), str(root)),
        environment=environment,
    )
    return sorted(folder.iterdir())


def bill_of_materials(root: Path, path: Path, environment: Mapping[str, str]) -> Path:
    """Write the bill of materials of the pinned server, as CycloneDX, without the time and place of the build."""
    run(
        root,
        *(sys.executable, "-m", "cyclonedx_py", "requirements", PINS, "--pyproject", "pyproject.toml"),
        *("--output-reproducible", "--output-format", "JSON", "--output-file", str(path)),
        environment=environment,
    )
    bill = json.loads(path.read_text("utf-8"))
    pinned = len(re.findall(r"^[A-Za-z0-9._-]+==", (root / PINS).read_text("utf-8"), re.MULTILINE))
    if len(bill["components"]) != pinned:
        raise ReleaseRefused(f"the bill of materials has {len(bill['components'])} of {pinned} packages")
    return path


def try_out(root: Path, distribution: Path, folder: Path) -> None:
    """Install *distribution* with the pinned packages, then migrate, serve and run the demo."""
    folder.mkdir()
    begun = time.monotonic()
    run(folder, sys.executable, "-m", "venv", str(folder / "venv"))
    inside = folder / "venv" / "bin"
    uv = Path(sys.executable).with_name("uv")
    install = (
        (str(uv), "pip", "install", "--quiet", "--python", str(inside / "python"))
        if uv.exists()
        else (str(inside / "python"), "-m", "pip", "install", "--quiet")
    )
    run(folder, *install, "--require-hashes", "-r", str(root / PINS))
    run(folder, *install, "--no-deps", "--no-build-isolation", str(distribution))
    _say(f"  installed in {time.monotonic() - begun:.0f} s")
    inherited = {name: os.environ[name] for name in ("PATH", "HOME", "LANG", "TMPDIR") if name in os.environ}
    environment = {**inherited, "CZO_AUTH_DATA_DIR": str(folder / "data")}
    run(folder, str(inside / "czo-auth"), "migrate", environment=environment)
    _say("  migrated")
    _serve(inside / "czo-auth", folder, environment)
    told = run(folder, str(inside / "czo-auth"), "demo", environment=inherited)
    _say(f"  demo: {told.strip().splitlines()[-1]}")


def _serve(command: Path, folder: Path, environment: Mapping[str, str]) -> None:
    output = folder / "output.txt"
    begun = time.monotonic()
    with output.open("wb") as file:
        server = subprocess.Popen(
            [str(command), "serve", "--port", "0"], cwd=folder, env=environment, stdout=file, stderr=file
        )
    try:
        while (found := READY.search(output.read_text("utf-8"))) is None:
            if server.poll() is not None or time.monotonic() - begun > START_SECONDS:
                raise ReleaseRefused(f"the server does not start: {output.read_text('utf-8')}")
            time.sleep(0.05)
        ready = time.monotonic() - begun
        for path in ("/readyz", "/account/sign-in", "/.well-known/jwks.json"):
            with urllib.request.urlopen(found[1] + path, timeout=START_SECONDS) as answer:
                answer.read()
        server.send_signal(signal.SIGTERM)
        if server.wait(30):
            raise ReleaseRefused(f"the server does not end well: {output.read_text('utf-8')}")
    except urllib.error.URLError as error:
        raise ReleaseRefused(f"the server answers {error}: {output.read_text('utf-8')}") from None
    finally:
        server.kill()
        server.wait()
    _say(f"  served, ready after {ready:.1f} s")


def _refuse_different(built: Sequence[Path], again: Sequence[Path]) -> None:
    for one, other in zip(built, again, strict=True):
        if one.read_bytes() != other.read_bytes():
            raise ReleaseRefused(f"{one.name} is not the same when it is built again")
    _say("built twice, the same bytes")


def _keep(root: Path, built: Sequence[Path], materials: Path) -> None:
    for name in ("dist", "dist-sbom"):
        shutil.rmtree(root / name, ignore_errors=True)
        (root / name).mkdir()
    sums = []
    for path in built:
        shutil.copy2(path, root / "dist")
        sums.append(f"{hashlib.sha256(path.read_bytes()).hexdigest()}  {path.name}\n")
    shutil.copy2(materials, root / "dist-sbom")
    (root / "dist-sbom" / "SHA256SUMS").write_text("".join(sums), "ascii")


def _version(root: Path) -> str:
    project = tomllib.loads((root / "pyproject.toml").read_text("utf-8"))["project"]
    return str(project["version"])


def _check_changelog(root: Path, version: str, *, demanded: bool) -> None:
    heading = f"## [{version}]"
    if heading in (root / "CHANGELOG.md").read_text("utf-8"):
        return
    missing = f"CHANGELOG.md has no section {heading}"
    if demanded:
        raise ReleaseRefused(missing)
    _say(f"{missing}: write it before you publish")


def run(folder: Path, *command: str, environment: Mapping[str, str] | None = None) -> str:
    """
    Run *command* in *folder* and return what it printed.

    Raises:
        ReleaseRefused: It failed.
    """
    ran = subprocess.run(
        command,
        cwd=folder,
        env=environment,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
        timeout=COMMAND_SECONDS,
    )
    if ran.returncode:
        raise ReleaseRefused(f"{' '.join(command[:4])} failed: {(ran.stdout + ran.stderr)[-3000:]}")
    return ran.stdout


def _say(text: str) -> None:
    print(text, flush=True)


def main() -> None:
    """Release the repository that this file is in."""
    try:
        release(Path(__file__).parents[1], publish="--publish" in sys.argv[1:])
    except ReleaseRefused as refused:
        raise SystemExit(f"no release: {refused}") from None


if __name__ == "__main__":
    main()
