"""The operator's table of directories: what it means, and what it answers to nonsense."""

import json

import pytest

from flexvolume_operator.directories.pools import InvalidPools, parse_pools, pool


def table(*rows):
    return json.dumps([{"selector": selector, "path": path} for selector, path in rows])


def test_the_first_row_that_fits_counts():
    pools = parse_pools(
        table(
            ({"matchLabels": {"pool": "a", "zone": "1"}}, "/one"),
            ({"matchExpressions": [{"key": "pool", "operator": "In", "values": ["a"]}]}, "/two/"),
            ({"matchExpressions": [{"key": "gpu", "operator": "DoesNotExist"}]}, "/three"),
        )
    )
    for labels, row in (({"pool": "a", "zone": "1"}, 0), ({"pool": "a"}, 1), ({}, 2)):
        assert pool(pools, labels) is pools[row]
    assert [row.path for row in pools] == ["/one", "/two", "/three"]
    assert pool(pools, {"gpu": ""}) is None


def test_no_table_is_an_empty_one():
    assert parse_pools("") == parse_pools(" [] ") == ()


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("{", "JSON list"),
        ("{}", "list"),
        (table(({}, "/x")), "matchLabels"),
        (table(({"matchLabels": {"a": "b"}}, "x")), r"\[0\].path: 'x': must be an absolute path"),
        (table(({"matchLabels": {"a": "b"}}, "/")), "below /"),
        (table(({"matchLabel": {"a": "b"}}, "/x")), "matchLabel"),
        (table(({"matchExpressions": [{"key": "a", "operator": "Near"}]}, "/x")), "one of In"),
        (table(({"matchExpressions": [{"key": "a", "operator": "In"}]}, "/x")), "at least one"),
        (
            table(
                ({"matchExpressions": [{"key": "a", "operator": "Exists", "values": ["b"]}]}, "/x")
            ),
            "takes none",
        ),
        ('[{"path": "/x"}]', "selector"),
    ],
)
def test_a_row_that_cannot_be_meant_is_named(text, said):
    with pytest.raises(InvalidPools, match=said):
        parse_pools(text)
