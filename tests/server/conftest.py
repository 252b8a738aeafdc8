"""A running server for the tests: `server` is one for the whole file with default options, `serve(option=value, ...)` starts others. Each
has a home of its own whose models are those that are installed."""
import http.client
import json
import os
import pathlib
import re
import shutil
import signal
import subprocess
import threading
import time
import urllib.parse
import uuid

import pytest

SOURCE = pathlib.Path(os.environ.get("SOURCE", pathlib.Path(__file__).resolve().parents[2]))
SONANT = os.environ.get("SONANT", str(SOURCE / "build/sonant"))
JFK = (SOURCE / "tests/audio/jfk.wav").read_bytes()
SANITIZED = b"__asan_init" in pathlib.Path(SONANT).read_bytes()
# Portable C is ten times slower than what the times are for, a sanitizer's build two or three times.
PATIENCE = 20 if os.environ.get("SONANT_CPU") == "scalar" else 3 if SANITIZED else 1
JFK_TEXT = "and so my fellow americans ask not what your country can do for you ask what you can do for your country"


def eventually(condition, seconds=10):
    """What the condition gave: the first true answer, or the last one."""
    until = time.monotonic() + seconds * PATIENCE
    while not (found := condition()) and time.monotonic() < until:
        time.sleep(0.05)
    return found


def installed_home():
    given = os.environ.get("SONANT_HOME")
    return pathlib.Path(given) if given else pathlib.Path(os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache")) / "sonant"


def needs_model(*names):
    """Skips where a model is not installed."""
    missing = [n for n in names if not any(p.name.endswith(n) for p in (installed_home() / "models").glob("*"))]
    return pytest.mark.skipif(bool(missing), reason="not installed: " + ", ".join(missing))


def words(text):
    return " ".join(re.sub(r"[^a-z' ]", " ", text.lower()).split())


class Reply:
    def __init__(self, response, body):
        self.status, self.body = response.status, body
        self.headers = {k.lower(): v for k, v in response.getheaders()}

    @property
    def json(self):
        return json.loads(self.body)

    @property
    def text(self):
        return self.body.decode()


def multipart(fields):
    """Body and content type; a value is a text, or (file name, bytes), or a list of those."""
    boundary = uuid.uuid4().hex
    body = b""
    for name, values in fields.items():
        for value in values if isinstance(values, list) else [values]:
            file, data = value if isinstance(value, tuple) else (None, str(value).encode())
            extra = f'; filename="{file}"\r\nContent-Type: application/octet-stream' if file else ""
            body += f'--{boundary}\r\nContent-Disposition: form-data; name="{name}"{extra}\r\n\r\n'.encode() + data + b"\r\n"
    return body + f"--{boundary}--\r\n".encode(), "multipart/form-data; boundary=" + boundary


class Server:
    """A `sonant serve` process. get, post and delete return a Reply; a body is json=..., form={...} or bytes."""

    def __init__(self, home, log, options, environment=None):
        self.home, self.log = home, log
        command = [SONANT, "serve", "--home", str(home)]
        for name, value in {"port": 0, **options}.items():
            command += ["--" + name.replace("_", "-"), str(value)]
        env = {**os.environ, **(environment or {})}
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=open(log, "ab"), env=env)
        self.url = None
        for line in self.process.stdout:
            found = re.search(rb"serving on (http\S+)", line)
            if found:
                self.url = found[1].decode()
                break
        if not self.url:
            raise RuntimeError(f"the server did not start: {pathlib.Path(log).read_text()}")
        threading.Thread(target=self.process.stdout.read, daemon=True).start()
        parts = urllib.parse.urlsplit(self.url)
        self.host, self.port = parts.hostname, parts.port
        self.key = None

    def request(self, method, path, body=None, headers=None, json_body=None, form=None, timeout=120):
        headers = dict(headers or {})
        if json_body is not None:
            body, headers["Content-Type"] = json.dumps(json_body).encode(), "application/json"
        if form is not None:
            body, headers["Content-Type"] = multipart(form)
        if self.key:
            headers.setdefault("Authorization", "Bearer " + self.key)
        connection = http.client.HTTPConnection(self.host, self.port, timeout=timeout * PATIENCE)
        try:
            connection.request(method, path, body, headers)
            response = connection.getresponse()
            return Reply(response, response.read())
        finally:
            connection.close()

    def get(self, path, **options):
        return self.request("GET", path, **options)

    def post(self, path, **options):
        return self.request("POST", path, **options)

    def delete(self, path, **options):
        return self.request("DELETE", path, **options)

    def wait_ready(self, seconds=60):
        until = time.monotonic() + seconds * PATIENCE
        while time.monotonic() < until:
            if self.get("/health/ready").status == 200:
                return self
            time.sleep(0.02)
        raise RuntimeError("the server was not ready in time: " + self.get("/audio/health").text)

    def kill(self):
        self.process.kill()
        self.process.wait()

    def stop(self, seconds=60):
        """The exit status after SIGTERM."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        try:
            return self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            self.kill()
            raise


def make_home(path):
    """A home with the models that are installed, packed weights shared."""
    path.mkdir(parents=True, exist_ok=True)
    for name in ("models", "packed"):
        if (installed_home() / name).exists() and not (path / name).exists():
            (path / name).symlink_to(installed_home() / name)
    return path


@pytest.fixture(scope="module")
def serve(tmp_path_factory):
    """serve(home=None, environment=None, **options) -> Server; all are stopped at the end, and must end with status 0."""
    running = []

    def start(home=None, environment=None, **options):
        home = home or make_home(tmp_path_factory.mktemp("home"))
        server = Server(home, str(home / "server.log"), options, environment)
        running.append(server)
        return server

    yield start
    statuses = [(s.stop(), s.log) for s in running if s.process.poll() is None]
    bad = [pathlib.Path(log).read_text()[-3000:] for status, log in statuses if status != 0]
    for home in {s.home for s in running}:
        shutil.rmtree(home, ignore_errors=True)
    assert not bad, "a server ended badly: " + "\n".join(bad)


@pytest.fixture(scope="module")
def server(serve):
    return serve()
