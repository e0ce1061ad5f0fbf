"""Running out of descriptors: the accept loop waits, and resumes when some are free."""

import subprocess
import sys

from support.in_process_server import short_folder

SERVER = """
import logging, os, resource, sys, time
from pathlib import Path
import trio
from herod.protocols.http import Response
from herod.server import connections
from herod.server.connection_limits import Limits
from herod.server.sockets.listeners import listening
from herod.settings.bind_addresses import UnixBind

logging.basicConfig()
GET = b"GET / HTTP/1.1\\r\\nHost: h\\r\\n\\r\\n"
LIMITS = Limits(evict_seconds=30)

async def handle(request):
    return Response(204)

async def ask(stream):
    with trio.fail_after(60):
        await stream.send_all(GET)
        return await stream.receive_some(4096)

async def main():
    shutdown = trio.Event()
    with listening([UnixBind(Path(sys.argv[1]))]) as listeners:
        async with trio.open_nursery() as nursery:
            async def serve(task_status):
                await connections.serve(listeners, handle, limits=LIMITS, shutdown=shutdown, task_status=task_status)
            await nursery.start(serve)
            stream = await trio.open_unix_socket(sys.argv[1])
            waiting = await trio.open_unix_socket(sys.argv[1])
            assert (await ask(stream)).startswith(b"HTTP/1.1 204")
            assert (await ask(waiting)).startswith(b"HTTP/1.1 204")
            hoard = []
            late = await trio.open_unix_socket(sys.argv[1])
            await waiting.send_all(GET[:10])  # in the middle of something: not to be evicted so soon
            await stream.send_all(GET[:10])
            try:
                while True:
                    hoard.append(os.open("/dev/null", os.O_RDONLY))
            except OSError:
                pass
            os.close(hoard.pop())
            later = trio.socket.socket(trio.socket.AF_UNIX)
            with trio.fail_after(60):
                await later.connect(sys.argv[1])
                await later.send(GET)
                with trio.move_on_after(0.3) as nothing:
                    await later.recv(100)
            assert nothing.cancelled_caught, "there was a descriptor left"
            with trio.fail_after(60):
                await stream.send_all(GET[10:])
                assert (await stream.receive_some(4096)).startswith(b"HTTP/1.1 204")
            for descriptor in hoard:
                os.close(descriptor)
            with trio.fail_after(60):
                assert (await later.recv(4096)).startswith(b"HTTP/1.1 204")
            assert (await ask(late)).startswith(b"HTTP/1.1 204")
            await waiting.aclose()
            shutdown.set()
            later.close()

resource.setrlimit(resource.RLIMIT_NOFILE, (160, 160))
trio.run(main)
print("lived")
"""

LIMITS = """
import resource
from herod.server.connections import raise_descriptor_limit
resource.setrlimit(resource.RLIMIT_NOFILE, (100, 1000))
for wanted in (10, 10, 500, 5000, 1):
    raise_descriptor_limit(wanted)
    print(resource.getrlimit(resource.RLIMIT_NOFILE)[0])
"""


def run(code: str, *arguments: str) -> str:
    """Run a program with its own limits."""
    done = subprocess.run(
        [sys.executable, "-c", code, *arguments],
        capture_output=True,
        timeout=60,
        check=False,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout + done.stderr


def test_server_outlives_exhaustion() -> None:
    """Without free descriptors, connected clients are served, and new ones wait and are served afterwards."""
    with short_folder() as folder:
        said = run(SERVER, str(folder / "s"))
    assert "lived" in said
    assert said.count("no connection can be accepted: Too many open files") == 1
    assert "the limit of open files (ulimit -n) allows only" in said


def test_descriptor_limit_is_raised_as_far_as_it_goes() -> None:
    """The soft limit is raised to what connections need, up to the hard one, and never lowered."""
    assert run(LIMITS).split() == ["106", "106", "596", "1000", "1000"]
