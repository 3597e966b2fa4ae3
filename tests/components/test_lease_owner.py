"""Who holds a lease, and whether that process is certainly dead."""

from __future__ import annotations

import subprocess
import sys
import time
from dataclasses import replace
from subprocess import PIPE

import pytest

from nomarr.components.library.lease_owner_comp import is_certainly_dead, lease_owner
from nomarr.helpers.dto.scan import LeaseOwner

CHILD = """
from nomarr.components.library.lease_owner_comp import lease_owner
with lease_owner() as owner:
    print(owner, flush=True)
"""


def test_an_owner_lives_as_long_as_its_work() -> None:
    with lease_owner() as owner:
        assert not is_certainly_dead(str(owner))
    assert is_certainly_dead(str(owner))


def test_two_owners_in_one_process_are_not_taken_for_each_other() -> None:
    with lease_owner() as one:
        with lease_owner() as other:
            assert one != other
        assert not is_certainly_dead(str(one))
        assert is_certainly_dead(str(other))


def test_the_owner_of_another_process_lives_as_long_as_that() -> None:
    waiting = CHILD + "    input()"
    with subprocess.Popen([sys.executable, "-c", waiting], stdin=PIPE, stdout=PIPE, text=True) as child:
        assert child.stdout is not None
        owner = child.stdout.readline().strip()
        assert not is_certainly_dead(owner)
        child.communicate("\n")
    assert is_certainly_dead(owner)


HIDDEN = f"""
import encodings.ascii, encodings.utf_8, os, subprocess, sys
from nomarr.components.library.lease_owner_comp import is_certainly_dead
with subprocess.Popen([sys.executable, "-c", {(CHILD + "    input()")!r}], stdin=-1, stdout=-1, text=True) as child:
    owner = child.stdout.readline().strip()
    if os.fork() == 0:
        os.setgroups([])
        os.setgid(65534)
        os.setuid(65534)
        print(os.path.exists(f"/proc/{{child.pid}}"), is_certainly_dead(owner), flush=True)
        os._exit(0)
    os.wait()
    child.communicate("\\n")
"""
SHELL = 'mount -t proc -o hidepid=2 proc /proc && exec "$0" -c "$1"'


def test_a_process_that_proc_hides_lives() -> None:
    unshared = ["unshare", "--pid", "--fork", "--mount"]
    if subprocess.run([*unshared, "true"], capture_output=True, check=False).returncode != 0:
        pytest.skip("needs the right to make namespaces")
    told = subprocess.run([*unshared, "sh", "-c", SHELL, sys.executable, HIDDEN], capture_output=True, check=True)
    assert told.stdout.split() == [b"False", b"False"]


def test_a_process_that_ended_is_dead() -> None:
    child = subprocess.run([sys.executable, "-c", CHILD], capture_output=True, text=True, check=True)
    assert is_certainly_dead(child.stdout.strip())


def test_a_process_that_nobody_waited_for_yet_is_dead() -> None:
    child = subprocess.Popen([sys.executable, "-c", CHILD], stdout=PIPE, text=True)
    assert child.stdout is not None
    with child:
        owner = child.stdout.readline().strip()
        child.stdout.read()
        # Its output is closed; the kernel may take a moment longer to make a zombie of it.
        while not is_certainly_dead(owner):
            time.sleep(0.001)
        assert child.returncode is None


def test_another_process_with_the_same_number_does_not_count() -> None:
    with lease_owner() as me:
        assert is_certainly_dead(str(replace(me, started=me.started - 1)))


def test_nothing_is_certain_about_another_host_or_an_unknown_text() -> None:
    with lease_owner() as me:
        assert not is_certainly_dead(str(replace(me, host="elsewhere", pid=999_999_999)))
    assert not is_certainly_dead("somebody else")


def test_an_owner_survives_being_written() -> None:
    with lease_owner() as owner:
        assert LeaseOwner.parse(str(owner)) == owner
    assert LeaseOwner.parse("a|b|c") is None
