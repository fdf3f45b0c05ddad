"""Kubernetes' timestamps as epoch seconds and back; who needs the time gets it as a parameter."""

from datetime import UTC, datetime


def epoch(moment: datetime | None) -> float:
    """Epoch seconds of a decoded timestamp; 0.0 where there is none."""
    return moment.timestamp() if moment is not None else 0.0


def parse(text: str) -> float:
    """Epoch seconds of an RFC 3339 timestamp; 0.0 for an empty or unreadable one."""
    try:
        return datetime.fromisoformat(text).timestamp()
    except ValueError:
        return 0.0


def rfc3339(seconds: float) -> str:
    """Whole seconds in UTC, the way Kubernetes writes metav1.Time."""
    return datetime.fromtimestamp(int(seconds), UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
