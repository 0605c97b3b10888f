"""Every figure on /metrics that this program counts itself; names are promised to dashboards."""

from prometheus_client import Counter, Gauge, Histogram

MESSAGES = Counter("onestop_messages", "MQTT messages taken in and committed.", ["channel"])
BATCH_SECONDS = Histogram(
    "onestop_batch_seconds",
    "From the first message of a batch at hand to its commit.",
    buckets=(0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 10),
)
STORE_FAILURES = Counter("onestop_store_failures", "Commits refused by the database, tried again.")
UNSTORABLE = Counter("onestop_unstorable_messages", "Messages that the database does not take.")
WAITING = Gauge("onestop_messages_waiting", "Messages received and not yet committed.")
PROJECTION_SECONDS = Histogram(
    "onestop_projection_seconds",
    "One run of the projector over the streams that grew.",
    buckets=(0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 10),
)
PROJECTION_FAILURES = Counter("onestop_projection_failures", "Runs of the projector that failed.")


def count_projection(seconds: float, is_failure: bool) -> None:
    """One run of the projector."""
    PROJECTION_SECONDS.observe(seconds)
    if is_failure:
        PROJECTION_FAILURES.inc()
