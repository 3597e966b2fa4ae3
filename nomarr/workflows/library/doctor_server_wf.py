"""Judge a look at the database server, and say what to do about what is wrong."""

from __future__ import annotations

import re
from typing import Final

from nomarr.helpers.dto.server import LicenseUsage, QueryPlan, ServerExamination
from nomarr.helpers.exceptions import DatabaseError
from nomarr.helpers.paths_helper import strip_control
from nomarr.persistence.db import Database
from nomarr.workflows.library.doctor_wf import Check, CheckStatus

__all__ = ["check_server_workflow", "judge_server"]

_OLDEST_VERSION: Final = (3, 12)
_NEARLY_FULL: Final = 0.8
_LARGE_SKEW_SECONDS: Final = 5.0
_SLOW_SECONDS: Final = 0.05
_SHOWN: Final = 5
_GIB: Final = 1 << 30


def check_server_workflow(db: Database) -> list[Check]:
    """The server that keeps the database; nothing for an embedded one. Synchronous: run it in a worker thread."""
    try:
        found = db.examine_server()
    except DatabaseError as error:
        return [Check("server", CheckStatus.ERROR, str(error), "look at the server's log, and try again")]
    return [] if found is None else judge_server(found)


def judge_server(found: ServerExamination) -> list[Check]:
    """What a look at a server means."""
    return [
        _version(found),
        _mode(found),
        _shards(found),
        _license(found),
        _indexes(found.missing_indexes),
        _queries(found.plans),
        _probe(found.probe_problem),
        _clock(found.skew_seconds),
        _latency(found.latency_seconds),
    ]


def _version(found: ServerExamination) -> Check:
    version = f"ArangoDB {strip_control(found.version)}, {strip_control(found.edition)} edition"
    numbers = re.match(r"(\d+)\.(\d+)", found.version)
    if numbers is None or tuple(int(number) for number in numbers.groups()) < _OLDEST_VERSION:
        return Check("server", CheckStatus.ERROR, f"{version}: it is too old", "upgrade the server to 3.12 or newer")
    return Check("server", CheckStatus.OK, version)


def _mode(found: ServerExamination) -> Check:
    if found.is_read_only:
        return Check(
            "server mode",
            CheckStatus.ERROR,
            "read-only: nothing can be stored",
            "end its maintenance, or look at 'server licence' and 'disk space' of the server",
        )
    return Check("server mode", CheckStatus.OK, "it can be written to")


def _shards(found: ServerExamination) -> Check:
    if found.is_one_shard:
        return Check("server shards", CheckStatus.OK, "all on one server: a batch is written as a whole")
    return Check(
        "server shards",
        CheckStatus.ERROR,
        "the database is spread over several servers: a batch may be written in parts",
        "create a database with sharding 'single' (OneShard), and copy into it with 'nomarr db copy'",
    )


def _license(found: ServerExamination) -> Check:
    usage = found.license
    if usage is None:
        return Check("server licence", CheckStatus.OK, "it tells of no limit")
    detail = f"{usage.bytes_used / _GIB:.1f} of {usage.bytes_limit / _GIB:.0f} GiB used, of all databases together"
    remedy = "make room: remove other databases and libraries, or get a licence of the enterprise edition"
    if usage.status != "good":
        return Check("server licence", CheckStatus.ERROR, f"{detail}; {_sanction(usage)}", remedy)
    if usage.bytes_used >= _NEARLY_FULL * usage.bytes_limit:
        return Check("server licence", CheckStatus.WARN, f"{detail}: the limit is near", remedy)
    return Check("server licence", CheckStatus.OK, detail)


def _sanction(usage: LicenseUsage) -> str:
    if usage.status == "limit-reached":
        return f"it becomes read-only in {usage.seconds_until_read_only / 3600:.0f} h"
    if usage.status == "read-only":
        return f"it is read-only and shuts down in {usage.seconds_until_shut_down / 3600:.0f} h"
    return f"its state is '{strip_control(usage.status)}'"


def _indexes(missing: tuple[str, ...]) -> Check:
    if not missing:
        return Check("server indexes", CheckStatus.OK, "all of them are there")
    return Check(
        "server indexes",
        CheckStatus.ERROR,
        f"missing: {', '.join(missing)}",
        "copy into a new database, which has all of them: nomarr db copy",
    )


def _queries(plans: tuple[QueryPlan, ...]) -> Check:
    bad = [plan for plan in plans if not plan.is_good]
    if not bad:
        return Check("server queries", CheckStatus.OK, f"{len(plans)} explained, all of them by indexes")
    told = "; ".join(map(_plan, bad[:_SHOWN]))
    more = f"; and {len(bad) - _SHOWN} more" if len(bad) > _SHOWN else ""
    return Check(
        "server queries",
        CheckStatus.ERROR,
        f"{told}{more}",
        "see 'server indexes' and 'server'; if these are in order, please report this line",
    )


def _plan(plan: QueryPlan) -> str:
    if plan.problem is not None:
        return f"{plan.name} can't be run: {strip_control(plan.problem)}"
    if plan.scanned:
        return f"{plan.name} reads all of {', '.join(plan.scanned)}"
    return f"{plan.name}: {strip_control(', '.join(plan.warnings))}"


def _probe(problem: str | None) -> Check:
    if problem is None:
        return Check("server probe", CheckStatus.OK, "a value was written, read and deleted")
    return Check(
        "server probe",
        CheckStatus.ERROR,
        strip_control(problem),
        "give the user the right to read and write this database (docs/databases.md)",
    )


def _clock(skew_seconds: float) -> Check:
    detail = f"the server's clock differs by {abs(skew_seconds):.1f} s"
    if abs(skew_seconds) < _LARGE_SKEW_SECONDS:
        return Check("server clock", CheckStatus.OK, detail)
    return Check(
        "server clock",
        CheckStatus.WARN,
        f"{detail}; leases are judged by it, but times in lists are of this computer",
        "let both keep their time by NTP",
    )


def _latency(seconds: float) -> Check:
    detail = f"a request takes {seconds * 1000:.1f} ms"
    if seconds < _SLOW_SECONDS:
        return Check("server latency", CheckStatus.OK, detail)
    return Check(
        "server latency",
        CheckStatus.WARN,
        f"{detail}: scans will wait for it",
        "run Nomarr near the server, and raise scan_batch_size",
    )
