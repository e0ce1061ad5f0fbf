"""Standard input, output and error: what to do if they are closed, or accept no more."""

import contextlib
import errno
import os
import sys
from typing import Final, TextIO

__all__ = ["drop_output", "is_output_closed", "replace_closed_streams"]

# Output to a closed descriptor must fail, and not be taken for written: this one is opened for reading.
_MODES: Final = (os.O_RDONLY, os.O_RDONLY, os.O_WRONLY)


def replace_closed_streams() -> None:
    """Open `/dev/null` in place of closed descriptors, before a socket or the store gets the number of one.

    Input is then empty, output fails when it is written, and messages are dropped.
    """
    for descriptor, mode in enumerate(_MODES):
        try:
            os.fstat(descriptor)
        except OSError:
            os.open(os.devnull, mode)  # gets the lowest free number, which is this one
    if sys.stdin is None:
        sys.stdin = os.fdopen(0, "r")
    if sys.stdout is None:
        sys.stdout = os.fdopen(1, "w")
    if sys.stderr is None:
        sys.stderr = os.fdopen(2, "w")


def is_output_closed() -> bool:
    """Whether nothing can be written to standard output."""
    try:
        os.write(sys.stdout.fileno(), b"")
    except OSError as error:
        return error.errno == errno.EBADF
    return False


def drop_output(stream: TextIO) -> None:
    """Send a stream's unwritten output to /dev/null, so that the interpreter's flush at exit does not fail."""
    with contextlib.suppress(OSError, ValueError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())
