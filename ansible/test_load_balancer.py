"""The load balancer's own configuration in a real HAProxy; the hosts behind it are stand-ins, who answer as a test wants."""

from __future__ import annotations

import http.client
import http.server
import importlib.util
import json
import shutil
import socket
import subprocess
import threading
import time
from pathlib import Path

import jinja2
import pytest

ROLE = Path(__file__).resolve().parent / "roles/load_balancer"
HAPROXY = shutil.which("haproxy", path="/usr/sbin:/usr/local/sbin:/usr/bin")
spec = importlib.util.spec_from_file_location("names", ROLE / "files/names.py")
names = importlib.util.module_from_spec(spec)
spec.loader.exec_module(names)

pytestmark = pytest.mark.skipif(HAPROXY is None, reason="no haproxy here; install the package haproxy")


class Host(http.server.ThreadingHTTPServer):
    """In the place of a Pi: healthy, and slow to answer everything else."""

    daemon_threads = True

    def __init__(self, seconds: float):
        super().__init__(("127.0.0.1", 0), Answer)
        self.seconds = seconds
        self.asked = 0
        #: Headers of the last request.
        self.heard: dict[str, str] = {}
        #: How long each client waited before it went away.
        self.gone: list[float] = []
        threading.Thread(target=self.serve_forever, args=(0.02,), daemon=True).start()


class Answer(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        self.server.asked += self.path != "/health"
        if self.path != "/health":
            self.server.heard = dict(self.headers)
        if self.path != "/health" and not self.wait():
            return
        self.send_response(200)
        self.send_header("Content-Length", "0")
        self.end_headers()

    do_POST = do_GET

    def wait(self) -> bool:
        """Whether the client stays until there is an answer; llama-server looks for that in the same way."""
        began = time.monotonic()
        while time.monotonic() - began < self.server.seconds:
            self.connection.settimeout(0.05)
            try:
                gone = self.connection.recv(65536) == b""
            except TimeoutError:
                continue
            except ConnectionResetError:
                gone = True
            if gone:
                self.server.gone.append(time.monotonic() - began)
                self.close_connection = True
                return False
        return True

    def log_message(self, format, *arguments):
        pass


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class Balancer:
    """A HAProxy with the role's configuration."""

    def __init__(self, folder: Path):
        self.folder = folder
        self.port = free_port()
        self._process: subprocess.Popen | None = None

    def render(self, servers: list[dict], seconds: int, **variables) -> Path:
        endpoint = {"port": self.port, "answerSeconds": seconds, "servers": servers}
        # As Ansible renders it.
        environment = jinja2.Environment(trim_blocks=True, keep_trailing_newline=True)
        template = environment.from_string((ROLE / "templates/balancer.cfg.j2").read_text())
        rendered = self.folder / "balancer.cfg"
        rendered.write_text(
            template.render(
                pipress_endpoint=endpoint,
                _load_balancer_run=self.folder,
                _load_balancer_certificate_file=self.folder / "balancer.pem",
                **variables,
            )
        )
        return rendered

    def start(self, servers: list[dict], seconds: int = 60) -> None:
        rendered = self.render(servers, seconds)
        command = [str(HAPROXY), "-W", "-f", str(rendered), "-p", str(self.folder / "haproxy.pid")]
        self._process = subprocess.Popen(command, stderr=subprocess.DEVNULL)
        for _ in range(1200):
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", self.port)) == 0:
                    return
            time.sleep(0.05)
        raise AssertionError("HAProxy does not listen")

    def stop(self) -> None:
        if self._process:
            self._process.terminate()
            self._process.wait()

    def get(self, timeout: float = 30) -> int:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=timeout)
        try:
            connection.request("GET", "/v1/models")
            return connection.getresponse().status
        finally:
            connection.close()

    def send(self, text: str) -> socket.socket:
        client = socket.create_connection(("127.0.0.1", self.port), timeout=30)
        client.sendall(text.encode())
        return client


@pytest.fixture
def balancer(tmp_path):
    balancer = Balancer(tmp_path)
    yield balancer
    balancer.stop()


@pytest.fixture
def host():
    made = []

    def make(seconds: float = 0) -> Host:
        made.append(Host(seconds))
        return made[-1]

    yield make
    for one in made:
        one.shutdown()
        one.server_close()


def server(
    port: int, name: str = "pi-0", address: str = "127.0.0.1", parallel: int = 1, model: str = "tiny"
) -> dict:
    # Nobody answers the agent check there, which leaves a host as it is.
    at = {"name": name, "address": address, "port": port, "agentPort": free_port()}
    return {**at, "model": model, "parallel": parallel}


def within(seconds: float, condition) -> bool:
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        if condition():
            return True
        time.sleep(0.05)
    return False


def test_an_answer_says_which_host_gave_it(balancer, host):
    balancer.start([server(host().server_port, "pi-7")])
    client = balancer.send("GET / HTTP/1.1\r\nHost: x\r\n\r\n")
    assert b"x-served-by: pi-7\r\n" in client.recv(1000)


def test_a_name_that_does_not_resolve_is_a_host_that_is_down(balancer, host):
    pi = host()
    balancer.start([server(8080, "pi-1", "pi-1.invalid"), server(pi.server_port)])
    assert [balancer.get() for _ in range(4)] == [200] * 4


def test_a_host_whose_name_resolves_again_comes_back_without_a_cut(balancer, host):
    pi = host(seconds=2)
    balancer.start([server(8080, "pi-1", "pi-1.invalid"), server(pi.server_port)])
    state = names.ask(balancer.folder, "show servers state fleet")
    assert names.moved_servers(state, lambda name: set()) == []
    answers: list[int] = []
    asking = threading.Thread(target=lambda: answers.append(balancer.get()))
    asking.start()
    assert within(5, lambda: pi.asked == 1)
    worker = names.ask(balancer.folder, "show info")
    # The resolver is a stand-in: no test changes what this machine resolves.
    assert names.look(balancer.folder, lambda name: {"127.0.0.1"} if name == "pi-1.invalid" else set()) == [
        "pi-1"
    ]
    assert within(60, lambda: pid_of(names.ask(balancer.folder, "show info")) != pid_of(worker))
    asking.join()
    assert answers == [200]


def pid_of(info: str) -> str:
    return next(line for line in info.splitlines() if line.startswith("Pid:"))


def test_a_server_whose_name_resolves_to_what_is_used_is_left_alone():
    state = (
        "1\n# be_name srv_name srv_addr srv_fqdn\nfleet pi-0 10.0.0.1 -\nfleet pi-1 10.0.0.2 pi-1.local\n\n"
    )
    assert names.moved_servers(state, lambda name: {"10.0.0.3", "10.0.0.2"}) == []
    assert names.moved_servers(state, lambda name: {"10.0.0.3"}) == ["pi-1"]


def test_a_client_that_goes_away_frees_its_host(balancer, host):
    pi = host(seconds=20)
    balancer.start([server(pi.server_port)])
    client = balancer.send("GET / HTTP/1.1\r\nHost: x\r\n\r\n")
    assert within(5, lambda: pi.asked == 1)
    client.close()
    assert within(5, lambda: pi.gone)


def test_a_client_that_goes_away_while_it_waits_is_never_asked_for(balancer, host):
    pi = host(seconds=2)
    balancer.start([server(pi.server_port)])
    first = balancer.send("GET /first HTTP/1.1\r\nHost: x\r\n\r\n")
    assert within(5, lambda: pi.asked == 1)
    balancer.send("GET /second HTTP/1.1\r\nHost: x\r\n\r\n").close()
    assert first.recv(100).startswith(b"HTTP/1.1 200")
    assert not within(2, lambda: pi.asked > 1)


def test_slow_headers_and_a_slow_body_are_cut_off_before_a_host_hears_of_them(balancer, host):
    pi = host()
    balancer.start([server(pi.server_port)])
    headers = balancer.send("POST / HTTP/1.1\r\nHost: x\r\nX-Slow: ")
    body = balancer.send("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n{")
    for client in (headers, body):
        assert client.recv(100).startswith(b"HTTP/1.1 408")
    assert pi.asked == 0


def test_a_host_may_say_nothing_for_as_long_as_was_predicted_and_no_longer(balancer, host):
    pi = host(seconds=3)
    balancer.start([server(pi.server_port)], seconds=5)
    assert balancer.get() == 200
    pi.seconds = 20
    began = time.monotonic()
    assert balancer.get() == 504
    assert 4.5 < time.monotonic() - began < 8


def test_a_request_waits_its_turn_behind_a_slow_one(balancer, host):
    pi = host(seconds=3)
    balancer.start([server(pi.server_port)])
    answers: list[int] = []
    clients = [threading.Thread(target=lambda: answers.append(balancer.get())) for _ in range(3)]
    for client in clients:
        client.start()
    for client in clients:
        client.join()
    assert answers == [200] * 3


def test_haproxy_accepts_the_configuration_with_a_certificate(balancer, tmp_path):
    pem = tmp_path / "balancer.pem"
    key = tmp_path / "key.pem"
    command = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-subj", "/CN=pi", "-days", "2"]
    subprocess.run([*command, "-keyout", key, "-out", pem], check=True, capture_output=True)
    pem.write_text(pem.read_text() + key.read_text())
    rendered = balancer.render(
        [server(8080, address="fe80::1")], 60, pipress_endpoint_certificate=pem.read_text()
    )
    assert "ssl crt" in rendered.read_text()
    done = subprocess.run([str(HAPROXY), "-c", "-f", rendered], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "WARNING" not in done.stderr


def test_a_host_does_not_hear_of_a_conversation_that_it_would_go_on_with_alone(balancer, host):
    pi = host()
    balancer.start([server(pi.server_port)])
    balancer.send("POST / HTTP/1.1\r\nHost: x\r\nX-Conversation-Id: 7\r\nX-Other: 8\r\n\r\n").recv(100)
    headers = {name.lower() for name in pi.heard}
    assert "x-other" in headers and "x-conversation-id" not in headers


def ask_for(
    balancer, body: str, path: str = "/v1/chat/completions", method: str = "POST", **headers: str
) -> tuple[int, str, str]:
    """Status, who answered, and the answer's body."""
    connection = http.client.HTTPConnection("127.0.0.1", balancer.port, timeout=30)
    try:
        connection.request(method, path, body, {"Content-Type": "application/json", **headers})
        response = connection.getresponse()
        return response.status, response.getheader("x-served-by", ""), response.read().decode()
    finally:
        connection.close()


def test_a_request_goes_to_a_host_that_serves_its_model(balancer, host):
    balancer.start(
        [
            server(host().server_port, "pi-1", model="small"),
            server(host().server_port, "pi-2", model="large-7b.q4_k_m"),
            server(host().server_port, "pi-3", model="small"),
        ]
    )
    long = "x" * 100_000
    for model, hosts in (("small", {"pi-1", "pi-3"}), ("large-7b.q4_k_m", {"pi-2"})):
        # As OpenAI's package for Python writes it: the messages first.
        body = json.dumps({"messages": [{"role": "user", "content": long}], "model": model})
        assert {ask_for(balancer, body)[:2] for _ in range(4)} <= {(200, name) for name in hosts}
    status, _, listed = ask_for(balancer, "", "/v1/models", "GET")
    assert status == 200
    assert [model["id"] for model in json.loads(listed)["data"]] == ["small", "large-7b.q4_k_m"]


@pytest.mark.parametrize("body", ['{"model": "gpt-4"}', '{"messages": []}', "no json", '{"model": "smal"}'])
def test_a_model_that_nobody_serves_is_refused_by_name(balancer, host, body):
    at = [
        server(host().server_port, "pi-1", model="small"),
        server(host().server_port, "pi-2", model="large"),
    ]
    balancer.start(at)
    status, _, said = ask_for(balancer, body)
    assert status == 404
    assert json.loads(said)["error"]["message"] == "no host serves such a model; there are: small, large"
    assert ask_for(balancer, "", "/health", "GET")[0] == 200


def test_a_request_too_long_to_find_its_model_in_is_refused_as_such(balancer, host):
    at = [server(host().server_port, name, model=name) for name in ("small", "large")]
    balancer.start(at)
    texts = {"input": ["x" * 1000] * 200}
    status, _, said = ask_for(balancer, json.dumps({**texts, "model": "large"}), "/v1/embeddings")
    assert (status, json.loads(said)["error"]["code"]) == (413, "request_too_large")


def test_the_web_page_talks_with_the_hosts_that_it_comes_from(balancer, host):
    at = [
        server(host().server_port, "pi-1", model="small"),
        server(host().server_port, "pi-2", model="large"),
    ]
    balancer.start(at)
    assert ask_for(balancer, "", "/", "GET")[:2] == (200, "pi-1")
    origin = {"Origin": f"http://127.0.0.1:{balancer.port}"}
    assert ask_for(balancer, '{"messages": []}', **origin)[:2] == (200, "pi-1")
    assert ask_for(balancer, '{"model": "large"}', **origin)[:2] == (200, "pi-2")
    assert ask_for(balancer, '{"model": "gpt-4"}', **origin)[0] == 404


def test_with_one_model_any_name_is_answered(balancer, host):
    balancer.start([server(host().server_port)])
    assert ask_for(balancer, '{"model": "gpt-4"}')[:2] == (200, "pi-0")
