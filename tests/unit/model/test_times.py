from datetime import UTC, datetime

from flexvolume_operator.model import times


def test_a_timestamp_survives_both_ways():
    assert times.rfc3339(times.parse("2026-01-01T00:00:00Z")) == "2026-01-01T00:00:00Z"


def test_what_is_no_timestamp_is_zero():
    assert times.parse("") == times.parse("soon") == times.epoch(None) == 0.0


def test_a_decoded_timestamp_is_epoch_seconds():
    assert times.epoch(datetime(1970, 1, 1, 0, 1, tzinfo=UTC)) == 60.0
