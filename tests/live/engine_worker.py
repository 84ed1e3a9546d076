"""One worker process of the example stage: `python tests/live/engine_worker.py`."""

from __future__ import annotations

import sys

from engine_example import build

from samenloop_processors.engine.worker import run_stage

if __name__ == "__main__":
    sys.exit(run_stage(build()))
