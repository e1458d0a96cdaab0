"""Looks at a release some time after its health check: what a soak is for."""

from __future__ import annotations

from .activation import Activation, digest_of
from .health_check import is_healthy
from .report import throttled
from .throttling import flags_now


def what_is_wrong(activation: Activation, digest: str, port: int) -> list[str]:
    """Everything that shows that `digest` does not serve as it did when it passed its health check; empty when it does."""
    problems = []
    current = activation.current()
    if digest_of(current or "") != digest:
        problems.append(f"the host serves {current[:12] if current else 'no release'}, not {digest[:12]}")
    state = activation.service.state()
    if state.active != "active":
        problems.append(
            f"the service is {state.active}: {activation.service.log_tail() or 'it logged nothing'}"
        )
    elif state.restarts > 0:
        problems.append(
            f"systemd had to restart the service {state.restarts} times: {activation.service.log_tail()}"
        )
    if state.active == "active" and not is_healthy(port):
        problems.append("/health does not say that the server is ready")
    flags = flags_now(throttled())
    if flags:
        problems.append(f"the firmware throttles the board (get_throttled 0x{flags:x})")
    return problems
