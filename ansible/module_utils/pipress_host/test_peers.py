"""Peers that serve a file to each other, over real HTTP; the controller is the test's own server."""

from __future__ import annotations

import hashlib
import http.client
import http.server
import random
import socketserver
import threading
import time

import pytest

from pipress_host import peers
from pipress_host import store as store_module
from pipress_host.errors import HostError
from pipress_host.peers import make_server
from pipress_host.store import Source, Wanted, fetch, stamp

CONTENT = random.Random(1).randbytes(3_000_000)
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


def got_from_peer(kind, tmp_path, controller):
    """The same from one peer that answers in a way of its own."""
    peer = serve(http.server.HTTPServer(("127.0.0.1", 0), kind))
    try:
        return got(tmp_path, controller, [f"127.0.0.1:{peer.server_address[1]}"])
    finally:
        peer.shutdown()
        peer.server_close()


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
    outcome = got_from_peer(BreakingAnswer, tmp_path, controller)
    assert (outcome["fromPeers"], controller.sent) == (500_000, 2_500_000)


def test_a_peer_whose_file_has_another_size_gives_nothing(tmp_path, controller, start_peer):
    outcome = got(tmp_path, controller, [start_peer(CONTENT[:500_000])])
    assert (outcome["fromPeers"], controller.sent) == (0, 3_000_000)


def test_a_peer_whose_file_is_not_what_it_says_is_not_believed(tmp_path, controller, start_peer):
    wrong = bytearray(CONTENT)
    wrong[1_500_000] ^= 1
    outcome = got(tmp_path, controller, [start_peer(bytes(wrong))])
    assert (outcome["fromPeers"], controller.sent) == (3_000_000, 3_000_000)


class LyingAnswer(BreakingAnswer):
    """A peer that gives bytes of its own, in a size that is right, and counts how often it is asked."""

    asked = 0

    def do_GET(self):
        type(self).asked += 1
        start = int(self.headers["Range"].removeprefix("bytes=").rstrip("-"))
        self.send_response(206)
        self.send_header("Content-Range", f"bytes {start}-{len(CONTENT) - 1}/{len(CONTENT)}")
        self.end_headers()
        self.wfile.write(self.content(start))

    def content(self, start):
        return b"x" * (len(CONTENT) - start)


class DroppingAnswer(LyingAnswer):
    """A peer that closes every connection after a byte."""

    def content(self, start):
        return CONTENT[start : start + 1]


@pytest.mark.parametrize("kind", [LyingAnswer, DroppingAnswer])
@pytest.mark.parametrize("resumed", [0, 1_000_000])
def test_a_peer_that_gives_what_is_of_no_use_is_asked_once_and_never_again(
    tmp_path, controller, kind, resumed
):
    if resumed:
        (tmp_path / "store").mkdir()
        (tmp_path / "store" / f"{WANTED.sha256}.part").write_bytes(CONTENT[:resumed])
    kind.asked = 0
    outcome = got_from_peer(kind, tmp_path, controller)
    lies = kind is LyingAnswer
    assert kind.asked == 1
    assert outcome["fromPeers"] == (len(CONTENT) - resumed if lies else 1)
    # All of it from the controller, once, where something that came is not to be trusted; else what was left.
    assert controller.sent == (len(CONTENT) if lies else len(CONTENT) - resumed - 1)
    assert outcome["transferred"] == outcome["fromPeers"] + controller.sent


def test_the_first_of_several_peers_that_has_the_file_gives_it(tmp_path, controller, start_peer):
    outcome = got(tmp_path, controller, [start_peer(verified=False), start_peer(), "127.0.0.1:1"])
    assert (outcome["fromPeers"], controller.sent) == (3_000_000, 0)


def test_a_peer_may_be_asked_for_by_an_ipv6_address():
    connection = Source("[::1]:8081", peer=True).connect()
    assert (connection.host, connection.port, connection.timeout) == ("::1", 8081, store_module.PEER_SECONDS)


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


def ask(address, **headers):
    connection = http.client.HTTPConnection(address, timeout=5)
    connection.request("GET", f"/sha256/{WANTED.sha256}", headers=headers)
    answer = connection.getresponse()
    content = answer.read()
    connection.close()
    return answer.status, answer.getheader("Content-Range"), content


def test_a_file_is_served_as_a_whole_or_from_a_byte_on(start_peer):
    address = start_peer()
    assert ask(address) == (200, None, CONTENT)
    assert ask(address, Range="bytes=2999990-") == (206, "bytes 2999990-2999999/3000000", CONTENT[-10:])


def test_one_connection_asks_again_and_again(start_peer):
    connection = http.client.HTTPConnection(start_peer(), timeout=5)
    for path, status in ((f"/sha256/{'0' * 64}", 404), (f"/sha256/{WANTED.sha256}", 200), ("/", 404)):
        connection.request("GET", path)
        socket = connection.sock
        answer = connection.getresponse()
        assert answer.status == status and connection.sock is socket is not None
        answer.read()
    connection.close()


def test_two_peers_are_served_at_once_and_a_third_when_one_has_ended(start_peer):
    address = start_peer(bytes(40_000_000))
    takers = []
    for _ in range(peers.MAX_PEERS):
        taker = http.client.HTTPConnection(address, timeout=5)
        taker.request("GET", f"/sha256/{WANTED.sha256}")
        takers.append(taker.getresponse())
        takers[-1].read(1000)  # the rest waits for the reader: it is more than sockets hold
    assert peers.MAX_PEERS == 2 and ask(address)[0] == 503
    takers[0].read()
    until = time.monotonic() + 5
    while (status := ask(address)[0]) == 503 and time.monotonic() < until:
        time.sleep(0.02)
    assert status == 200
    takers[1].close()


def test_a_taker_that_goes_away_frees_its_place(start_peer, monkeypatch):
    monkeypatch.setattr(peers, "MAX_PEERS", 1)
    address = start_peer()
    taker = http.client.HTTPConnection(address, timeout=5)
    taker.request("GET", f"/sha256/{WANTED.sha256}")
    taker.getresponse().close()
    taker.close()
    until = time.monotonic() + 5
    while (status := ask(address)[0]) == 503 and time.monotonic() < until:
        time.sleep(0.02)
    assert status == 200


def test_a_host_that_lends_to_enough_others_sends_the_next_one_elsewhere(
    tmp_path, controller, start_peer, monkeypatch
):
    monkeypatch.setattr(peers, "MAX_PEERS", 0)
    outcome = got(tmp_path, controller, [start_peer()])
    assert (outcome["fromPeers"], controller.sent) == (0, 3_000_000)
