"""How Dask is set so that it disturbs no measurement, starts nothing twice, and listens nowhere."""

from __future__ import annotations

import logging

from distributed import Security

SETTINGS = {
    # A lost worker's task is not run again elsewhere: the host itself was to be measured.
    "distributed.scheduler.allowed-failures": 0,
    "distributed.scheduler.work-stealing": False,
    "distributed.scheduler.worker-ttl": "40s",
    "distributed.scheduler.worker-saturation": "inf",
    # Pages and metrics over plain HTTP.
    "distributed.scheduler.http.routes": [],
    "distributed.worker.http.routes": [],
    # What samples, polls and ticks beside the measurement.
    "distributed.worker.profile.enabled": False,
    "distributed.worker.memory.target": False,
    "distributed.worker.memory.spill": False,
    "distributed.worker.memory.pause": False,
    "distributed.worker.memory.terminate": False,
    "distributed.admin.system-monitor.interval": "10s",
    "distributed.admin.system-monitor.disk": False,
    "distributed.admin.system-monitor.host-cpu": False,
    "distributed.admin.system-monitor.gil.enabled": False,
    "distributed.admin.tick.interval": "1s",
    "distributed.admin.tick.limit": "60s",
    "distributed.admin.tick.cycle": "10s",
    "distributed.comm.retry.count": 0,
    "distributed.comm.timeouts.connect": "20s",
    "distributed.comm.timeouts.tcp": "40s",
}
"""For scheduler, worker and client alike; what each key means is in Dask's reference."""

LIFELINE_S = 5.0
"""How often a worker says that it is there."""


def resource(host: str) -> str:
    """Return the name of the resource that only a host's own worker has."""
    return f"cgbench-host-{host}"


def hush() -> None:
    """Let Dask and asyncssh say nothing by themselves: what a user is told is told by cgbench."""
    for name in ("distributed", "asyncssh", "tornado", "asyncio"):
        logging.getLogger(name).setLevel(logging.CRITICAL + 1)


def proof(credentials: Security) -> dict[str, str]:
    """Return the certificate and key that all parts of a fleet share, as PEM text."""
    found = credentials.get_tls_config_for_role("client")
    return {"certificate": str(found["cert"]), "key": str(found["key"])}


def security(certificate: str, key: str) -> Security:
    """Return what parts of a fleet prove themselves to one another with, both ways."""
    return Security(
        require_encryption=True, tls_ca_file=certificate,
        tls_client_cert=certificate, tls_client_key=key,
        tls_worker_cert=certificate, tls_worker_key=key,
        tls_scheduler_cert=certificate, tls_scheduler_key=key,
    )  # fmt: skip
