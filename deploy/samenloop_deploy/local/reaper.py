"""Stops what the supervisor left behind when it was itself killed. Run as a script: standard library only, starts at once.

The supervisor holds the write end of our standard input and keeps us told, one line each:

    add PID SIGNAL GRACE ROOM    a process to stop with SIGNAL, in the order of ROOM, killed GRACE seconds later
    gone PID                     it has ended
    directory PATH               to be removed after the processes
    bye                          orderly end: nothing is left to do

End of input without ``bye`` means that the supervisor is dead. Children that watch their own pipe end by themselves;
Kafka and PostgreSQL do not know about pipes, and a child may hang.
"""

from __future__ import annotations

import os
import shutil
import signal
import sys
import time
from contextlib import suppress
from itertools import groupby


def is_alive(pid: int) -> bool:
    """Whether the process still runs; one that only waits to be collected by its parent does not."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    try:
        with open(f"/proc/{pid}/stat", encoding="utf-8", errors="replace") as stat:
            return stat.read().rpartition(")")[2].split()[0] not in "ZX"
    except OSError:
        # Gone in between, or a system without /proc: the next look tells.
        return True


def send(pid: int, number: int) -> None:
    with suppress(ProcessLookupError):
        os.kill(pid, number)


def stop(processes: list[tuple[int, int, float]]) -> None:
    """Signal each (pid, signal, grace), wait for all, and kill what outlives its grace."""
    for pid, number, _ in processes:
        send(pid, number)
    began = time.monotonic()
    waiting = list(processes)
    while waiting:
        waiting = [process for process in waiting if is_alive(process[0])]
        for pid, _, grace in waiting:
            if time.monotonic() - began > grace:
                send(pid, signal.SIGKILL)
        if waiting:
            time.sleep(0.02)
    for pid, _, _ in processes:
        # What it started itself in its session.
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(pid, signal.SIGKILL)


def main() -> None:
    for ignored in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(ignored, signal.SIG_IGN)
    known: dict[int, tuple[int, int, float]] = {}
    rooms: dict[int, int] = {}
    directory = ""
    for line in sys.stdin:
        verb, _, rest = line.rstrip("\n").partition(" ")
        if verb == "add":
            pid, number, grace, room = rest.split()
            known[int(pid)] = (int(pid), int(number), float(grace))
            rooms[int(pid)] = int(room)
        elif verb == "gone":
            known.pop(int(rest), None)
        elif verb == "directory":
            directory = rest
        elif verb == "bye":
            return
    ordered = sorted(known.values(), key=lambda process: rooms[process[0]])
    for _, group in groupby(ordered, key=lambda process: rooms[process[0]]):
        stop(list(group))
    if directory:
        shutil.rmtree(directory, ignore_errors=True)


if __name__ == "__main__":
    main()
