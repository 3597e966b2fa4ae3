"""Who holds a lease, and whether that process is certainly dead."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace

from nomarr.components.library.lease_owner_comp import is_certainly_dead, this_process
from nomarr.helpers.dto.scan import LeaseOwner

CHILD = "from nomarr.components.library.lease_owner_comp import this_process; print(this_process())"


def test_this_process_lives() -> None:
    assert not is_certainly_dead(str(this_process()))


def test_each_call_is_another_owner() -> None:
    assert this_process() != this_process()


def test_a_process_that_ended_is_dead() -> None:
    child = subprocess.run([sys.executable, "-c", CHILD], capture_output=True, text=True, check=True)
    assert is_certainly_dead(child.stdout.strip())


def test_a_process_that_nobody_waited_for_yet_is_dead() -> None:
    child = subprocess.Popen([sys.executable, "-c", CHILD + "; print(flush=True)"], stdout=subprocess.PIPE, text=True)
    assert child.stdout is not None
    with child:
        owner = child.stdout.readline().strip()
        child.stdout.read()
        # Its output is closed; the kernel may take a moment longer to make a zombie of it.
        while not is_certainly_dead(owner):
            assert child.poll() is None or is_certainly_dead(owner)
    assert is_certainly_dead(owner)


def test_another_process_with_the_same_number_does_not_count() -> None:
    me = this_process()
    assert is_certainly_dead(str(replace(me, started=me.started - 1)))


def test_nothing_is_certain_about_another_host_or_an_unknown_text() -> None:
    assert not is_certainly_dead(str(replace(this_process(), host="elsewhere", pid=999_999_999)))
    assert not is_certainly_dead("somebody else")


def test_an_owner_survives_being_written() -> None:
    owner = this_process()
    assert LeaseOwner.parse(str(owner)) == owner
    assert LeaseOwner.parse("a|b|c") is None
