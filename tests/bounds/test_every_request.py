"""What every request costs, over every operation, protocol and caller: bytes of answers, and steps of the event loop.

Numbers of rule 19: strangers get at most 20 bytes for each byte that they send, beyond 2 KiB; an answer has at most
256 KiB, and to a batch 1 MiB, except for documents and files of which there is one copy. `make soak` fills the store
more and prints the largest of each, with the longest steps.
"""

from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import pytest
import trio

from bounds.request_walk import Probe, operation_probes, other_probes
from bounds.worst_store import GROUPS, PEER, Opened, Worst, open_worst
from herod.operations.operation_table import OPERATIONS
from herod.pipeline.operation_definition import Operation, Surface
from herod.protocols.http import Response
from herod.protocols.jsonrpc import MAX_BATCH_BYTES
from herod.protocols.responses import MAX_ANSWER_BYTES
from herod.server.dashboard_requests import PAGE_BYTES
from herod.server.response_writer import AnswerWriter
from herod.store.store_interface import MAX_PAGE
from support.soak_rounds import SHORT, count

RATIO: Final = 20
FREE: Final = 2048
HEAD: Final = 2048
MANY: Final = count("BOUNDS")
SHOWN: Final = 12


@dataclass(frozen=True)
class Cost:
    """What one request cost: bytes on the wire in both directions, without shared ones, and seconds."""

    caller: str
    probe: Probe
    asked: int
    answered: int
    status: int
    longest: float
    body: bytes

    def __str__(self) -> str:
        """One line of the table."""
        ratio = max(0, self.answered - FREE) / self.asked
        return (
            f"{self.longest * 1000:6.1f} ms {self.answered:8} bytes for {self.asked:6} ({ratio:5.1f}) "
            f"{self.status} {self.caller}: {self.probe.name}, {self.probe.way}"
        )


async def spend(worst: Worst, caller: str, probe: Probe, writer: AnswerWriter) -> Cost:
    """Send one request in a task of its own, whose steps are timed."""
    answers: list[Response] = []
    headers = worst.credentials[caller]

    async def ask() -> None:
        worst.watch.longest.clear()
        answers.append(await worst.request(probe.method, probe.target, {**probe.headers, **headers}, probe.body, PEER))

    async with trio.open_nursery() as tasks:
        tasks.start_soon(ask)
    answer = answers[0]
    if answer.stream is not None:
        await answer.stream.aclose()
    wire = writer.encode(answer, is_head=False, is_last=False, is_secure=True)
    longest = max(worst.watch.longest.values(), default=0.0)
    return Cost(caller, probe, probe.size(headers), len(wire), answer.status, longest, answer.body)


async def costs(worst: Worst) -> AsyncIterator[Cost]:
    """Every request by every caller; hostile values by strangers and one account, which reach the same parsers."""
    writer = AnswerWriter()
    await spend(worst, "stranger", next(other_probes()), writer)  # loads the pages
    for probe in other_probes():
        yield await spend(worst, "stranger", probe, writer)
    for caller in worst.credentials:
        who = caller.partition(",")[0]
        values = {
            "limit": 200, "secret": "", "wait": 0, "sid": worst.ids.get((caller, "resource"), "x"),
            "id": worst.ids.get((who, "key"), "x"),
        }  # fmt: skip
        for probe in operation_probes(
            values, is_hostile=caller in ("stranger", "wide"), is_whole=SHORT["BOUNDS"] < MANY
        ):
            yield await spend(worst, caller, probe, writer)


async def test_no_request_exceeds_the_limits(
    tmp_path: Path, say: Callable[[str], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    """No answer is larger than its limit, strangers get little for what they send, and steps read few records."""
    found: list[Cost] = []
    async with open_worst(tmp_path, many=MANY) as worst:
        opened = Opened(monkeypatch)
        trio.lowlevel.add_instrument(opened)
        found.extend([cost async for cost in costs(worst)])
        trio.lowlevel.remove_instrument(opened)
    # A page of a list, its caller, and, once, the rules for all groups of a process.
    assert 100 < opened.most <= MAX_PAGE + 2 + len(GROUPS)
    assert {cost.probe.name for cost in found} >= {name for name, one in OPERATIONS.items() if is_offered(one)}
    for name, size in (
        ("longest steps", lambda cost: cost.longest),
        ("largest answers", lambda cost: cost.answered),
        ("most for a stranger's byte", lambda cost: (cost.caller == "stranger") * (cost.answered - FREE) / cost.asked),
    ):
        for place, cost in enumerate(sorted(found, key=size, reverse=True)[:SHOWN]):
            say(f"{name}, {place:2}: {cost}")
    assert [str(cost) for cost in found if cost.answered > most(cost) + HEAD] == []
    strangers = [cost for cost in found if cost.caller == "stranger"]
    assert [str(cost) for cost in strangers if cost.answered > free(cost) + RATIO * cost.asked] == []
    assert [str(cost) for cost in found if cost.status >= 500] == []


def is_offered(operation: Operation) -> bool:
    """Whether it can be called by another way than the pages."""
    return bool(operation.routes) or Surface.RPC in operation.surfaces


def free(cost: Cost) -> int:
    """Bytes that a stranger gets for any request: a head, and for a page, which is always the same, its frame."""
    return 2 * FREE if is_page(cost) else FREE


def is_page(cost: Cost) -> bool:
    """Whether the answer is a page of the dashboard."""
    return cost.probe.target.startswith("/ui") or (cost.probe.target, cost.probe.method) == ("/", "GET")


def most(cost: Cost) -> int:
    """The limit of the answer to a request."""
    if is_page(cost):
        return PAGE_BYTES
    is_batch = cost.probe.target in ("/rpc", "/") and cost.probe.body[:1] == b"["
    return MAX_BATCH_BYTES if is_batch else MAX_ANSWER_BYTES
