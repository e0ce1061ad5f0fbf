"""Protection of the process's memory from other processes."""

import subprocess
import sys

CODE = """
import ctypes, resource
from herod.server.memory_protection import protect_memory
protect_memory()
print(ctypes.CDLL(None).prctl(3, 0, 0, 0, 0), resource.getrlimit(resource.RLIMIT_CORE))
"""


def test_memory_is_protected() -> None:
    """The process is not dumpable (PR_GET_DUMPABLE) and leaves no core."""
    done = subprocess.run([sys.executable, "-c", CODE], capture_output=True, check=True, timeout=20, text=True)
    assert done.stdout.strip() == "0 (0, 0)"
