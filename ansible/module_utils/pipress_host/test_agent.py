"""What a load balancer is told."""

from __future__ import annotations

import socket
import threading

from pipress_host.agent import make_server


def ask(port: int) -> str:
    with socket.create_connection(("127.0.0.1", port), timeout=5) as connection:
        return connection.makefile().read()


def test_a_host_asks_to_be_drained_exactly_while_an_activation_is_pending(tmp_path):
    server = make_server(tmp_path, 0)
    threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
    port = server.server_address[1]
    try:
        assert ask(port) == "ready\n"
        (tmp_path / "pending.json").write_text("{}")
        assert ask(port) == "drain\n"
        (tmp_path / "pending.json").unlink()
        assert ask(port) == "ready\n"
    finally:
        server.shutdown()
        server.server_close()


def test_several_load_balancers_are_answered_at_once(tmp_path):
    server = make_server(tmp_path, 0)
    threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
    port = server.server_address[1]
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=5):
            assert ask(port) == "ready\n"
        assert server.daemon_threads, "one that never reads must not keep the agent from ending"
        assert server.server_address[0] == "0.0.0.0"
    finally:
        server.shutdown()
        server.server_close()
    again = make_server(tmp_path, port)
    again.server_close()
