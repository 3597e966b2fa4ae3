"""Who holds a lease, and whether that process is certainly dead."""

from __future__ import annotations

import subprocess
import sys
import time
from dataclasses import replace
from subprocess import PIPE

import pytest

from nomarr.components.library import lease_owner_comp
from nomarr.components.library.lease_owner_comp import lease_owner
from nomarr.components.library.standing_lease_comp import StandingLease
from nomarr.helpers.dto.scan import LONGEST_LEASE_SECONDS, LeaseOwner, SeenLease


def is_certainly_dead(owner: str, *, of_one_machine: bool = False) -> bool:
    return lease_owner_comp.is_certainly_dead(owner, of_one_machine=of_one_machine)


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
        print(os.path.exists(f"/proc/{{child.pid}}"), is_certainly_dead(owner, of_one_machine=False), flush=True)
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


@pytest.mark.parametrize(
    ("changes", "of_one_machine", "is_dead"),
    [
        ({"boot": "before"}, True, True),
        # Machines may have equal names.
        ({"boot": "before"}, False, False),
        ({"name": "another", "boot": "before"}, True, False),
        ({"boot": ""}, True, False),
        ({"processes": "pid:[1]"}, True, False),
        ({"boot": "before", "processes": "pid:[1]"}, True, True),
    ],
)
def test_the_owner_of_an_earlier_boot_is_dead_where_no_other_machine_can_be(
    changes: dict[str, str], of_one_machine: bool, is_dead: bool
) -> None:
    with lease_owner() as owner:
        parts = dict(zip(("name", "boot", "processes"), owner.host.split("/"), strict=True)) | changes
        other = replace(owner, host="/".join(parts.values()), token="other")
        assert is_certainly_dead(str(other), of_one_machine=of_one_machine) is is_dead


def test_a_lease_that_ends_too_late_and_stands_still_has_run_out() -> None:
    standing = StandingLease(60)
    ends_at = 1000 + LONGEST_LEASE_SECONDS + 1
    assert standing.unrenewed(1000, 0) is None
    standing.saw("a", ends_at, 0)
    standing.saw("a", ends_at, 60)
    assert standing.unrenewed(1000, 60) is None
    assert standing.unrenewed(1000, 61) == SeenLease("a", ends_at)
    assert standing.unrenewed(1001, 61) is None, "it may be a lease as others are"
    standing.saw("a", ends_at + 15, 61)
    assert standing.unrenewed(1000, 62) is None, "it was renewed"
