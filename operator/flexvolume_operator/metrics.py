"""What the operator tells Prometheus about itself.

No node names in labels: their number has no bound, and FlexNode answers that question.
"""

from typing import Final

from prometheus_client import Counter, Gauge, Histogram, disable_created_metrics

# A second series for each counter that says when it began is of use to nobody here.
disable_created_metrics()

RECONCILES: Final = Counter(
    "flexvolume_reconciles_total", "Reconciles of FlexDrivers by their result.", ["result"]
)
RECONCILE_SECONDS: Final = Histogram(
    "flexvolume_reconcile_duration_seconds",
    "Time one reconcile of a FlexDriver takes.",
    buckets=(0.001, 0.005, 0.02, 0.1, 0.5, 2, 10),
)
NODES: Final = Gauge(
    "flexvolume_driver_nodes",
    "Nodes a FlexDriver matches, by the driver's state there.",
    ["flexdriver", "state"],
)
REPAIRS: Final = Counter(
    "flexvolume_driver_repairs_total",
    "Published files that guards found changed or missing and put right.",
    ["flexdriver"],
)
KUBELET_LOOKUPS: Final = Counter(
    "flexvolume_kubelet_lookups_total",
    "Kubelets asked for their plugin directory, by result: Answered, or why not.",
    ["result"],
)
DIRECTORY_NODES: Final = Gauge(
    "flexvolume_driver_directory_nodes",
    "Nodes a FlexDriver matches whose plugin directory is Guessed, Unknown or a Mismatch.",
    ["flexdriver", "directory"],
)
API_REQUESTS: Final = Counter(
    "flexvolume_api_requests_total",
    "Requests to the Kubernetes API by verb and HTTP code; code 0: no answer.",
    ["verb", "code"],
)
WATCH_AGE: Final = Gauge(
    "flexvolume_watch_last_event_age_seconds",
    "Time since a watch last heard from the API server, bookmarks included.",
    ["resource"],
)
LEADER: Final = Gauge("flexvolume_leader", "1 while this process holds the Lease.")
