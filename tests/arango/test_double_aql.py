"""The double's AQL against what the manual says of AQL 3.12."""

from __future__ import annotations

import unicodedata
from collections.abc import Callable
from typing import Any

import pytest
from support.arango.errors import ServerError
from support.arango.explain import explain
from support.arango.interpreter import execute
from support.arango.store import Database

Aql = Callable[..., list[Any]]


def number_of(failing: Callable[[], object]) -> int:
    with pytest.raises(ServerError) as caught:
        failing()
    return caught.value.problem.number


@pytest.mark.parametrize(
    ("expression", "value"),
    [
        ("1 + 2 * 3", 7),
        ("5 / 2", 2.5),
        ("4 / 2", 2),
        ("-7 % 3", -1),
        ("1 / 0", None),
        ('"1" == 1', False),
        ("null < false AND false < 0 AND 0 < '' AND '' < [] AND [] < {}", True),
        ("[1] < [1, 2]", True),
        ("{} == {a: null}", True),
        ("[] ? 'yes' : 'no'", "yes"),
        ("'' ? 'yes' : 'no'", "no"),
        ("null || 'default'", "default"),
        ("1 && 0", 0),
        ("null ? : 'other'", "other"),
        ("NOT 1 IN [2]", False),  # (NOT 1) IN [2]
        ("!(1 IN [2])", True),
        ("2 NOT IN [1, 2]", False),
        ("'foo' LIKE 'f%'", True),
        ("'f%' LIKE 'f\\\\%'", True),
        ("'foo' NOT LIKE 'f_'", True),
        ("[1, 2, 3] ALL > 0", True),
        ("[1, 2, 3] NONE IN [4]", True),
        ("1..3", [1, 2, 3]),
        ("{a: {b: [10, 20]}}.a.b[-1]", 20),
        ("{a: 1}.x.y.z", None),
        ("[1][5]", None),
        ("[{a: 1}, {a: 2}][*].a", [1, 2]),
        ("[1, 2, 3][* FILTER CURRENT > 1 RETURN CURRENT * 10]", [20, 30]),
        ("null[*].a", []),
        ("{[CONCAT('a', 1)]: 1, 'b c': 2, `filter`: 3}", {"a1": 1, "b c": 2, "filter": 3}),
        ("MERGE({a: 1}, {b: 2})", {"a": 1, "b": 2}),
        ("UNSET({a: 1, b: 2}, 'a')", {"b": 2}),
        ("KEEP({a: 1, b: 2}, ['a', 'c'])", {"a": 1}),
        ("LENGTH({a: 1, b: 2})", 2),
        ("LENGTH(null)", 0),
        ("LENGTH('äöü')", 3),
        ("CONCAT('a', null, 1)", "a1"),
        ("SUBSTRING('hello', 1, 3)", "ell"),
        ("STARTS_WITH('foobar', 'foo')", True),
        ("CONTAINS('foobar', 'oba')", True),
        ("UNION([1, 2], [2])", [1, 2, 2]),
        ("MINUS([1, 2, 3], [2])", [1, 3]),
        ("INTERSECTION([1, 2, 3], [2, 3, 4])", [2, 3]),
        ("FLATTEN([1, [2, [3]]])", [1, 2, [3]]),
        ("SLICE([1, 2, 3, 4], 1, 2)", [2, 3]),
        ("MIN([3, null, 1])", 1),
        ("MAX([])", None),
        ("SUM([1, null, 2])", 3),
        ("ROUND(-2.5)", -2),
        ("TO_NUMBER('12x')", 0),
        ("TO_NUMBER([5])", 5),
        ("NOT_NULL(null, 2)", 2),
        ("ZIP(['a'], [1])", {"a": 1}),
        ("PARSE_IDENTIFIER('files/1')", {"collection": "files", "key": "1"}),
        ("9223372036854775807", 2**63 - 1),
        ("9007199254740993 + 1", 9007199254740994),
        ("'it\\'s' /* a comment */", "it's"),
        ("DATE_NOW()", 1_700_000_000_000),
    ],
)
def test_an_expression_has_the_value_the_manual_gives(aql: Aql, expression: str, value: Any) -> None:
    assert aql(f"RETURN {expression}") == [value]


@pytest.mark.parametrize(
    ("text", "results"),
    [
        ("FOR x IN 1..2 FOR y IN 1..2 RETURN [x, y]", [[1, 1], [1, 2], [2, 1], [2, 2]]),
        ("FOR x IN [3, 1, 2] SORT x DESC LIMIT 1, 2 RETURN x", [2, 1]),
        ("FOR x IN [1, 1, 2] RETURN DISTINCT x", [1, 2]),
        ("FOR x IN [] COLLECT WITH COUNT INTO n RETURN n", [0]),
        ("FOR x IN [2, 1, 2] COLLECT v = x WITH COUNT INTO n RETURN [v, n]", [[1, 1], [2, 2]]),
        ("FOR x IN [1, 2, 3] COLLECT odd = x % 2 INTO g = x RETURN [odd, g]", [[0, [2]], [1, [1, 3]]]),
        ("FOR x IN 1..4 COLLECT AGGREGATE s = SUM(x), m = MAX(x) RETURN [s, m]", [[10, 4]]),
        ("LET a = (FOR x IN 1..3 FILTER x > 1 RETURN x) RETURN a", [[2, 3]]),
        ("RETURN LENGTH(FOR x IN 1..3 RETURN x)", [3]),
        ("RETURN [TO_HEX('Aé'), TO_HEX('')]", [["41c3a9", ""]]),
        ("RETURN [JSON_PARSE('{\"a\": [1, null]}').a, JSON_PARSE('{'), JSON_PARSE(1)]", [[[1, None], None, None]]),
    ],
)
def test_operations_follow_each_other(aql: Aql, text: str, results: list[Any]) -> None:
    assert aql(text) == results


def test_changes_report_old_and_new(aql: Aql) -> None:
    assert aql("INSERT {_key: 'a', n: 1, o: {x: 1}} INTO files RETURN [OLD, NEW.n]") == [[None, 1]]
    assert aql("UPDATE 'a' WITH {n: 2} IN files RETURN [OLD.n, NEW.n]") == [[1, 2]]
    assert aql("UPSERT {_key: 'a'} INSERT {n: 0} UPDATE {n: OLD.n + 1} IN files RETURN NEW.n") == [3]
    assert aql("REPLACE {_key: 'a', z: 1} IN files RETURN UNSET(NEW, '_id', '_rev')") == [{"_key": "a", "z": 1}]
    assert aql("REMOVE 'a' IN files RETURN OLD.z") == [1]
    assert aql("FOR f IN files RETURN f") == []


def test_an_update_merges_objects_and_keeps_nulls_unless_told_otherwise(aql: Aql) -> None:
    aql("INSERT {_key: 'a', tags: {title: 'x', genre: 'y'}, n: 1} INTO files")
    merged = "FOR f IN files UPDATE f WITH {tags: {title: 'z'}} IN files RETURN NEW.tags"
    assert aql(merged) == [{"title": "z", "genre": "y"}]
    replaced = (
        "FOR f IN files UPDATE f WITH {tags: {title: 'z'}} IN files OPTIONS {mergeObjects: false} RETURN NEW.tags"
    )
    assert aql(replaced) == [{"title": "z"}]
    assert aql("UPDATE 'a' WITH {n: null} IN files RETURN HAS(NEW, 'n')") == [True]
    assert aql("UPDATE 'a' WITH {n: null} IN files OPTIONS {keepNull: false} RETURN HAS(NEW, 'n')") == [False]


@pytest.mark.parametrize(
    ("text", "binds", "number"),
    [
        ("FOR f IN", {}, 1501),
        ("FOR f IN files RETURN f.filter", {}, 1501),
        ("RETURN {all: 1}", {}, 1501),
        ("FOR f IN files FILTER f.a", {}, 1501),
        ("  ", {}, 1502),
        ("LET a = 1 LET a = 2 RETURN a", {}, 1511),
        ("RETURN NO_SUCH(1)", {}, 1540),
        ("RETURN LENGTH()", {}, 1541),
        ("RETURN @a", {}, 1551),
        ("RETURN 1", {"a": 1}, 1552),
        ("FOR f IN nowhere RETURN f", {}, 1203),
        ("RETURN typo", {}, 1203),
        ("FOR f IN @@c RETURN f", {"@c": "nowhere"}, 1203),
        ("FOR x IN 5 RETURN x", {}, 1563),
        ("LET o = true INSERT {} INTO files OPTIONS {waitForSync: o}", {}, 1575),
        ("INSERT {} INTO files FOR f IN files RETURN f", {}, 1579),
        ("LET a = (INSERT {} INTO files) INSERT {} INTO files", {}, 1579),
        ("REMOVE 'nobody' IN files", {}, 1202),
        ("INSERT {_key: 'with space'} INTO files", {}, 1221),
        ("INSERT 5 INTO files", {}, 1227),
    ],
)
def test_a_query_is_refused_with_the_documented_error(aql: Aql, text: str, binds: dict[str, Any], number: int) -> None:
    assert number_of(lambda: aql(text, **binds)) == number


def test_a_query_that_fails_changes_nothing(aql: Aql) -> None:
    aql("INSERT {_key: 'a', library: 'L', name: 'x'} INTO files")
    before = aql("FOR f IN files RETURN f")
    batch = "FOR k IN ['b', 'c', 'a'] INSERT {_key: k, library: 'L', name: k} INTO files"
    assert number_of(lambda: aql(batch)) == 1210
    failing = "LET a = (FOR f IN files REMOVE f IN files RETURN 1) INSERT {_key: 'bad key'} INTO other"
    assert number_of(lambda: aql(failing)) == 1221
    assert aql("FOR f IN files RETURN f") == before
    assert aql("FOR f IN files FILTER f.library == 'L' RETURN f") == before


def test_an_old_revision_is_a_conflict_only_when_asked(aql: Aql) -> None:
    aql("INSERT {_key: 'a'} INTO files")
    stale = "UPDATE {_key: 'a', _rev: 'other'} WITH {n: 1} IN files"
    assert number_of(lambda: aql(f"{stale} OPTIONS {{ignoreRevs: false}}")) == 1200
    assert aql(f"{stale} RETURN NEW.n") == [1]


def test_an_index_takes_both_unicode_forms_for_one(aql: Aql) -> None:
    composed, decomposed = (unicodedata.normalize(form, "Café") for form in ("NFC", "NFD"))
    aql("INSERT {library: 'L', name: @name} INTO files", name=composed)
    assert number_of(lambda: aql("INSERT {library: 'L', name: @name} INTO files", name=decomposed)) == 1210
    by_index = "FOR f IN files FILTER f.library == 'L' AND f.name == @name RETURN 1"
    assert aql(by_index, name=decomposed) == [1]
    assert aql("RETURN @a == @b", a=composed, b=decomposed) == [False]


def test_a_range_over_an_index_finds_more_than_the_prefix(aql: Aql) -> None:
    for name in ("Rock/a", "rock/a", "Rock+/a", "Rockabilly/a"):
        aql("INSERT {library: 'L', name: @name} INTO files", name=name)
    below = "FOR f IN files FILTER f.library == 'L' AND f.name >= 'Rock/' AND f.name < 'Rock0'"
    assert set(aql(f"{below} RETURN f.name")) == {"Rock/a", "rock/a", "Rock+/a"}
    assert aql(f"{below} FILTER STARTS_WITH(f.name, 'Rock/') RETURN f.name") == ["Rock/a"]


def test_an_upsert_that_looks_first_meets_its_own_duplicates(aql: Aql) -> None:
    rows = [{"library": "L", "name": "x"}] * 2
    upsert = "FOR r IN @rows UPSERT {library: r.library, name: r.name} INSERT r UPDATE {again: true} IN files"
    assert number_of(lambda: aql(f"{upsert} OPTIONS {{readOwnWrites: false}}", rows=rows)) == 1210
    assert aql(f"{upsert} RETURN OLD == null", rows=rows) == [True, False]


@pytest.mark.parametrize(
    ("text", "nodes"),
    [
        ("FOR f IN files RETURN f", ["EnumerateCollectionNode"]),
        ("FOR f IN files FILTER f._key == 'a' RETURN f", ["IndexNode"]),
        ("FOR f IN files FILTER f.name == 'a' RETURN f", ["EnumerateCollectionNode"]),
        ("FOR f IN files FILTER f.library IN ['a'] RETURN f", ["IndexNode"]),
        ("FOR f IN files FILTER f.library == 'L' AND 'x' IN f.within[*] RETURN f", ["IndexNode"]),
        ("FOR f IN files FILTER false OR f.library == 'L' RETURN f", ["IndexNode"]),
        ("FOR f IN files FILTER f.n == 1 OR f.library == 'L' RETURN f", ["EnumerateCollectionNode"]),
        ("FOR o IN ['L'] FOR f IN files FILTER f.library == o RETURN f", ["IndexNode"]),
        ("FOR f IN files SORT f._key RETURN f", ["IndexNode"]),
        ("UPSERT {n: 1} INSERT {} UPDATE {} IN files", ["EnumerateCollectionNode"]),
    ],
)
def test_the_plan_tells_which_index_is_used(store: Database, text: str, nodes: list[str]) -> None:
    plan = explain(store, text, {})["plan"]["nodes"]
    assert [node["type"] for node in plan if node["type"] in ("IndexNode", "EnumerateCollectionNode")] == nodes


def test_an_array_index_finds_what_a_look_at_every_document_finds(store: Database, aql: Aql) -> None:
    for number in range(20):
        aql("INSERT {library: 'L', name: @n, within: @w} INTO files", n=str(number), w=[str(number % 3), "all", "all"])
    by_index = execute(store, "FOR f IN files FILTER f.library == 'L' AND '1' IN f.within[*] RETURN f.name", {}, 0)
    assert sorted(by_index.results) == sorted(aql("FOR f IN files FILTER '1' IN f.within RETURN f.name"))
    assert by_index.statistics["scannedIndex"] == 7
    assert by_index.statistics["scannedFull"] == 0
