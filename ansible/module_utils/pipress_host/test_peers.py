"""Peers that serve a file to each other, over real HTTP; the controller is the test's own server."""

from __future__ import annotations

import hashlib
import http.client
import http.server
import os
import socketserver
import threading

import pytest

from pipress_host import peers
from pipress_host.errors import HostError
from pipress_host.peers import make_server
from pipress_host.store import Wanted, fetch, stamp

CONTENT = os.urandom(3_000_000)
WANTED = Wanted(hashlib.sha256(CONTENT).hexdigest(), len(CONTENT), "model")


class Controller(socketserver.ThreadingMixIn, socketserver.UnixStreamServer):
    """Serves CONTENT by range on a unix socket, and counts what it sends."""

    daemon_threads = True
    sent = 0


class ControllerAnswer(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        start = int(self.headers["Range"].removeprefix("bytes=").rstrip("-"))
        self.send_response(206)
        self.send_header("Content-Range", f"bytes {start}-{len(CONTENT) - 1}/{len(CONTENT)}")
        self.end_headers()
        self.server.sent += len(CONTENT) - start
        self.wfile.write(CONTENT[start:])

    def address_string(self):
        return "unix"

    def log_message(self, format, *arguments):
        pass


def serve(server):
    threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
    return server


@pytest.fixture
def controller(tmp_path):
    server = serve(Controller(str(tmp_path / "controller.sock"), ControllerAnswer))
    yield server
    server.shutdown()
    server.server_close()


@pytest.fixture
def start_peer(tmp_path):
    """Starts a peer whose store holds `content` as WANTED; returns its address."""
    servers = []

    def start(content=CONTENT, verified=True):
        store = tmp_path / f"peer-{len(servers)}"
        store.mkdir()
        (store / WANTED.sha256).write_bytes(content)
        if verified:
            stamp(store / WANTED.sha256)
        servers.append(serve(make_server(store, 0)))
        return f"127.0.0.1:{servers[-1].server_address[1]}"

    yield start
    for server in servers:
        server.shutdown()
        server.server_close()


def got(tmp_path, controller, peers):
    outcome = fetch(tmp_path / "store", WANTED, controller.server_address, peers)
    assert (tmp_path / "store" / WANTED.sha256).read_bytes() == CONTENT
    return outcome


def test_a_peer_that_has_the_file_spares_the_controller(tmp_path, controller, start_peer):
    outcome = got(tmp_path, controller, [start_peer()])
    assert (outcome["transferred"], outcome["fromPeers"], controller.sent) == (3_000_000, 3_000_000, 0)


def test_what_lies_here_in_part_is_completed_by_a_peer(tmp_path, controller, start_peer):
    (tmp_path / "store").mkdir()
    (tmp_path / "store" / f"{WANTED.sha256}.part").write_bytes(CONTENT[:1_000_000])
    outcome = got(tmp_path, controller, [start_peer()])
    assert (outcome["resumedAt"], outcome["fromPeers"]) == (1_000_000, 2_000_000)


def test_peers_without_it_or_out_of_reach_cost_nothing_but_a_question(tmp_path, controller, start_peer):
    outcome = got(tmp_path, controller, ["127.0.0.1:1", start_peer(verified=False)])
    assert (outcome["fromPeers"], controller.sent) == (0, 3_000_000)


class BreakingAnswer(ControllerAnswer):
    """A peer that is switched off after 500 kB."""

    def do_GET(self):
        self.send_response(206)
        self.send_header("Content-Range", f"bytes 0-{len(CONTENT) - 1}/{len(CONTENT)}")
        self.end_headers()
        self.wfile.write(CONTENT[:500_000])

    def address_string(self):
        return "peer"


def test_the_controller_completes_what_a_peer_breaks_off(tmp_path, controller):
    peer = serve(http.server.HTTPServer(("127.0.0.1", 0), BreakingAnswer))
    try:
        outcome = got(tmp_path, controller, [f"127.0.0.1:{peer.server_address[1]}"])
    finally:
        peer.shutdown()
        peer.server_close()
    assert (outcome["fromPeers"], controller.sent) == (500_000, 2_500_000)


def test_a_peer_whose_file_has_another_size_gives_nothing(tmp_path, controller, start_peer):
    outcome = got(tmp_path, controller, [start_peer(CONTENT[:500_000])])
    assert (outcome["fromPeers"], controller.sent) == (0, 3_000_000)


def test_a_peer_whose_file_is_not_what_it_says_is_not_believed(tmp_path, controller, start_peer):
    wrong = bytearray(CONTENT)
    wrong[1_500_000] ^= 1
    outcome = got(tmp_path, controller, [start_peer(bytes(wrong))])
    assert (outcome["fromPeers"], controller.sent) == (3_000_000, 3_000_000)


def test_a_controller_that_gives_the_wrong_file_is_still_blamed(tmp_path, controller, start_peer):
    other = Wanted(hashlib.sha256(b"other").hexdigest(), len(CONTENT), "model")
    with pytest.raises(HostError, match="does not have the digest"):
        fetch(tmp_path / "store", other, controller.server_address, [start_peer()])


@pytest.mark.parametrize(
    ("path", "ranged", "status"),
    [
        (f"/sha256/{WANTED.sha256}", "bytes=2999999-", 206),
        (f"/sha256/{WANTED.sha256}", "bytes=3000000-", 416),
        ("/sha256/../../etc/passwd", "bytes=0-", 404),
        (f"/sha256/{'0' * 64}", "bytes=0-", 404),
        ("/", "bytes=0-", 404),
    ],
)
def test_only_verified_files_are_served_and_only_by_their_digest(start_peer, path, ranged, status):
    connection = http.client.HTTPConnection(start_peer(), timeout=5)
    connection.request("GET", path, headers={"Range": ranged})
    assert connection.getresponse().status == status
    connection.close()


def test_a_host_that_lends_to_enough_others_sends_the_next_one_elsewhere(
    tmp_path, controller, start_peer, monkeypatch
):
    monkeypatch.setattr(peers, "MAX_PEERS", 0)
    outcome = got(tmp_path, controller, [start_peer()])
    assert (outcome["fromPeers"], controller.sent) == (0, 3_000_000)
