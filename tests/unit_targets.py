"""A target of units, for networks that need no more of it than its sizes."""

from types import SimpleNamespace


def unit_targets(stream="units", clusters=5, per_frame=1):
    """Targets by stream."""
    return {stream: SimpleNamespace(clusters=clusters, per_frame=per_frame)}
