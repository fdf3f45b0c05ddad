import pytest

from flexvolume_operator.directories.resolve import resolve
from flexvolume_operator.model.names import DEFAULT_PLUGIN_DIR


@pytest.mark.parametrize(
    ("override", "flag", "path", "source"),
    [
        ("/a", "/b", "/a", "Override"),
        ("/a", "", "/a", "Override"),
        ("", "/b", "/b", "Flag"),
        ("", "", DEFAULT_PLUGIN_DIR, "Default"),
    ],
)
def test_the_first_source_that_knows_wins(override, flag, path, source):
    found = resolve(override, flag)
    assert (found.path, found.source) == (path, source)
