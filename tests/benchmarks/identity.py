"""The resolver alone, one record at a time on one core: speed, memory and quality on synthetic Dutch people.

    python tests/benchmarks/identity.py [records ...]

One line of JSON per size. DESIGN 11 has the aims. The packaged model never saw these people.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from pathlib import Path

SEED = 4242
SIZES = (20_000, 200_000)


def measure(records: int, folder: Path) -> dict[str, object]:
    """Each step is a process of its own, so that memory is that of the resolver."""
    people, truth, clusters, report = (folder / f"{name}.csv" for name in ("people", "truth", "clusters", "report"))

    def identity(*arguments: object) -> str:
        command = [sys.executable, "-m", "samenloop_deploy", "identity", *map(str, arguments)]
        return subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout

    identity("sample", "--output", people, "--truth", truth, "--records", records, "--seed", SEED)
    identity("resolve", "--input", people, "--output", clusters, "--report", report)
    quality = json.loads(identity("evaluate", "--clusters", clusters, "--truth", truth, "--json"))
    return {"benchmark": "identity", **json.loads(report.read_text("utf-8")), "quality": quality}


def main() -> None:
    for records in [int(text) for text in sys.argv[1:]] or SIZES:
        with tempfile.TemporaryDirectory() as folder:
            print(json.dumps(measure(records, Path(folder))), flush=True)


if __name__ == "__main__":
    main()
