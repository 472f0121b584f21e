"""
Run a command that ends when its parent does, if need be as another user.

A killed test run must not leave servers behind, and then nothing in it can clean up: the kernel has to (Linux; on
other systems the tests' own endings must do). A process of its own does this, because a `preexec_fn` may deadlock in
a parent with threads. Beware: the kernel means the *thread* that started the process, so start servers from one that
lasts as long as they should.

Usage: python tethered.py SIGNAL UID GID COMMAND [ARGUMENT ...], where UID -1 keeps the user.
"""

from __future__ import annotations

import ctypes
import os
import sys

PR_SET_PDEATHSIG = 1


def tethered(command: list[str], *, signal: int, uid: int = -1, gid: int = -1) -> list[str]:
    """Wrap *command* so that it gets *signal* when the thread that starts it is gone."""
    # -I and -S: nothing of the tests' environment, and a start in hundredths of a second.
    return [sys.executable, "-I", "-S", __file__, str(int(signal)), str(uid), str(gid), *command]


def main(signal: int, uid: int, gid: int, command: list[str]) -> None:
    """Become *command*."""
    if uid >= 0:
        os.setgroups([])
        os.setgid(gid)
        os.setuid(uid)
    # After the change of user, which would undo it.
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal)
    os.execv(command[0], command)


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]), sys.argv[4:])
