"""Tools that misbehave in every way: the answer comes in time, and no process is left."""

from __future__ import annotations

import os
import signal
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import anyio
import psutil
import pytest
from process_kit import wait_until
from support.patience import promised

from nomarr.helpers.exceptions import ToolMissing, ToolOutputTooLong, ToolTimedOut
from nomarr.workflows.library.run_tool_wf import ToolResult, run_tool

MANY_SECONDS = 30.0
SOON = 0.4
"""Seconds that a process which will not end gets; enough for Python to start."""


MARK = f"started by the tests of process {os.getpid()}"


async def run(program: str, *arguments: str | bytes, seconds: float = MANY_SECONDS, most: int = 10_000) -> ToolResult:
    """Run a program in Python's words."""
    command = [sys.executable, "-I", "-S", "-c", f"{program}\n# {MARK}", *arguments]
    return await run_tool(command, timeout_seconds=seconds, max_output_bytes=most)


def started_here() -> list[psutil.Process]:
    """The programs that run, and what they forked."""
    every = psutil.process_iter(["cmdline"])
    return [one for one in every if any(MARK in argument for argument in one.info["cmdline"] or ())]


@pytest.fixture(autouse=True)
def _nothing_is_left() -> Iterator[None]:
    # Earlier tests may have left a helper of multiprocessing, which lives as long as the tests do.
    before = psutil.Process().children()
    yield
    # A child of a killed tool belongs to somebody else now, who has to notice its end.
    wait_until(lambda: started_here() == [], "every process to be gone")
    assert [child for child in psutil.Process().children() if child not in before] == []


@pytest.fixture
def note(tmp_path: Path) -> Path:
    """Appears when the program runs."""
    return tmp_path / "note"


async def test_what_a_tool_says_comes_back() -> None:
    assert await run("import sys; print('yes'); print('why', file=sys.stderr); sys.exit(3)") == ToolResult(
        3, b"yes\n", b"why\n"
    )


async def test_each_line_is_told_while_the_tool_still_runs(note: Path) -> None:
    told: list[bytes] = []

    def take(line: bytes) -> None:
        told.append(line)
        if line == b"waits":
            note.touch()

    program = f"""
import os
print('first\\nwaits', flush=True)
while not os.path.exists({str(note)!r}):
    pass
print('cut', end='')
# {MARK}"""
    command = [sys.executable, "-I", "-S", "-c", program]
    result = await run_tool(command, timeout_seconds=MANY_SECONDS, max_output_bytes=100, on_line=take)
    assert told == [b"first", b"waits"]
    assert result.stdout == b"first\nwaits\ncut"


async def test_arguments_keep_their_bytes() -> None:
    names = [b"/-\xff\n%d", os.fsdecode(b"/\xfe"), "/日本"]
    found = await run("import os, sys; os.write(1, b'|'.join(map(os.fsencode, sys.argv[1:])))", *names)
    assert found.stdout == b"|".join(map(os.fsencode, names))


async def test_there_is_nothing_to_read_and_no_terminal_to_interrupt_from() -> None:
    found = await run("import os, sys; print(len(sys.stdin.read()), os.getsid(0) == os.getpid())")
    assert found.stdout == b"0 True\n"


@pytest.mark.parametrize("name", ["/nowhere/tool", "no-such-tool", "/etc/passwd", "/etc/passwd/tool"])
async def test_a_tool_that_is_missing(name: str) -> None:
    with pytest.raises(ToolMissing, match="nomarr doctor") as caught:
        await run_tool([name], timeout_seconds=MANY_SECONDS, max_output_bytes=1)
    assert caught.value.name == Path(name).name


@pytest.mark.parametrize(
    "program",
    [
        "import time; time.sleep(99)",
        "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); time.sleep(99)",
        "import os, signal; os.kill(os.getpid(), signal.SIGSTOP)",
        "import os, time; os.close(1); os.close(2); time.sleep(99)",
        "import os, time; os.fork(); os.fork(); time.sleep(99)",
    ],
    ids=["hangs", "ignores SIGTERM", "is stopped", "closes its output", "forks"],
)
async def test_a_tool_that_takes_too_long_is_ended(program: str) -> None:
    with pytest.raises(ToolTimedOut, match=f"longer than {SOON} s") as caught:
        await run(program, seconds=SOON)
    assert caught.value.seconds == SOON


async def test_output_is_complete_up_to_the_limit() -> None:
    program = "import sys; sys.stdout.buffer.write(bytes(300_000))"
    assert len((await run(program, most=300_000)).stdout) == 300_000
    with pytest.raises(ToolOutputTooLong, match="299,999 bytes"):
        await run(program, most=299_999)


async def test_a_flood_is_stopped_in_little_memory() -> None:
    before = psutil.Process().memory_info().rss
    with pytest.raises(ToolOutputTooLong):
        await run("import os\nwhile True: os.write(1, bytes(65536))", most=1_000_000)
    assert psutil.Process().memory_info().rss - before < 30_000_000


async def test_of_a_flood_of_errors_the_end_is_kept() -> None:
    found = await run("import os\nfor i in range(2000): os.write(2, b'%9d' % i * 1000)\nprint('done')")
    assert found.stdout == b"done\n"
    assert len(found.stderr) == 16_384
    assert found.stderr.endswith(b"1999")


async def test_a_child_that_holds_the_output_is_ended_too() -> None:
    program = """
import os, sys, time
print('done', flush=True)
if not os.fork():
    time.sleep(99)
"""
    since = time.monotonic()
    assert await run(program) == ToolResult(0, b"done\n", b"")
    assert time.monotonic() - since < 5


async def test_a_stranger_that_holds_the_output_is_not_waited_for() -> None:
    """It left the tool's session, so it can't be ended with it."""
    program = """
import os, sys, time
print('done', flush=True)
if child := os.fork():
    while os.getsid(child) == os.getsid(0):
        pass
else:
    os.setsid()
    time.sleep(99)
"""
    since = time.monotonic()
    try:
        assert (await run(program)).stdout == b"done\n"
        assert time.monotonic() - since < 5
    finally:
        started_here()[0].kill()


async def test_a_tool_that_dies_says_by_which_signal() -> None:
    found = await run("import os, signal; os.kill(os.getpid(), signal.SIGSEGV)")
    assert found.returncode == -signal.SIGSEGV


@pytest.mark.parametrize("forks", ["", "os.fork();"])
async def test_a_cancelled_tool_is_ended_at_once(note: Path, forks: str) -> None:
    program = f"import os, sys, time; {forks} open(sys.argv[1], 'a').close(); time.sleep(99)"
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(run, program, str(note))
        await anyio.to_thread.run_sync(wait_until, note.exists, "the program to run")
        since = time.monotonic()
        tasks.cancel_scope.cancel()
    assert time.monotonic() - since < promised(1)


async def test_cancelled_before_it_starts() -> None:
    with anyio.CancelScope() as scope:
        scope.cancel()
        await run("import time; time.sleep(99)")
    assert scope.cancelled_caught


async def test_many_at_once() -> None:
    found: list[bytes] = []

    async def one(number: int) -> None:
        found.append((await run(f"print({number})")).stdout)

    async with anyio.create_task_group() as tasks:
        for number in range(20):
            tasks.start_soon(one, number)
    assert sorted(map(int, found)) == list(range(20))


async def test_no_file_stays_open() -> None:
    async def every_end() -> None:
        await run("")
        for program in ("while True: pass", "import os\nwhile True: os.write(1, bytes(65536))"):
            with pytest.raises((ToolTimedOut, ToolOutputTooLong)):
                await run(program, seconds=SOON)
        with pytest.raises(ToolMissing):
            await run_tool(["no-such-tool"], timeout_seconds=1, max_output_bytes=1)
        with anyio.move_on_after(0.1):
            await run("import time; time.sleep(99)")

    await every_end()
    before = len(os.listdir("/proc/self/fd"))
    await every_end()
    assert len(os.listdir("/proc/self/fd")) == before
