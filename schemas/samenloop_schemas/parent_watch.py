"""A child process ends when the process that started it is gone, however that one ended.

The parent holds the write end of a pipe and says nothing on it; the child holds the read end. The kernel closes the
write end when the parent ends, also after ``kill -9``, so end-of-file on the pipe means that nobody is watching us.
"""

from __future__ import annotations

import os
import signal
import threading
import time

PARENT_FD = "SAMENLOOP_PARENT_FD"
ABANDONED = 70
"""Exit code of a child that did not stop within its grace after its parent was gone."""


def die_with_parent(fd: int | None = None, grace: float = 10.0) -> None:
    """Watch the parent from a thread; call this first thing in a child's ``main``.

    When the parent is gone the process gets SIGTERM, so that it can finish as it would on an orderly stop; if it is
    still there ``grace`` seconds later it ends at once. Without ``fd`` the descriptor comes from ``SAMENLOOP_PARENT_FD``;
    a process started by hand has neither, and then nothing is watched.
    """
    if fd is None:
        # Taken out of the environment: a grandchild would not inherit the descriptor that the number names.
        value = os.environ.pop(PARENT_FD, "")
        if not value:
            return
        fd = int(value)
    os.set_inheritable(fd, False)
    threading.Thread(target=_watch, args=(fd, grace), name="parent-watch", daemon=True).start()


def _watch(fd: int, grace: float) -> None:
    while os.read(fd, 1):
        pass
    os.kill(os.getpid(), signal.SIGTERM)
    time.sleep(grace)
    os._exit(ABANDONED)
