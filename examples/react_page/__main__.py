"""``python -m examples.react_page``: builds the page with npm's packages, then serves it."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

FOLDER = Path(os.environ.get("CZO_AUTH_DATA_DIR", ".czo-auth/react_page"))
HERE = Path(__file__).parent
INSTALL = ("npm", "install", "--no-audit", "--no-fund", "--legacy-peer-deps", "--loglevel=error")


def build() -> None:
    """Fetch the packages of ``package.json`` once, outside the tree, and bundle the page."""
    FOLDER.mkdir(parents=True, exist_ok=True, mode=0o700)
    if not (FOLDER / "node_modules").exists():
        if shutil.which("npm") is None:
            raise SystemExit("this example needs node and npm")
        shutil.copy(HERE / "package.json", FOLDER)
        subprocess.run(INSTALL, cwd=FOLDER, check=True)
    shutil.copy(HERE / "page.jsx", FOLDER)
    bundle = ["--bundle", "--minify", "--jsx=automatic", "--format=esm", "--outfile=built/page.js"]
    subprocess.run(
        ["node_modules/.bin/esbuild", "page.jsx", *bundle, "--log-level=error"], cwd=FOLDER, check=True
    )


def main() -> None:
    """Build and serve until Ctrl-C."""
    build()
    # Mounts the folder that was just built.
    from examples.react_page.app import settings
    from examples.serving import serve

    serve("examples.react_page.app:app", settings)


if __name__ == "__main__":
    main()
