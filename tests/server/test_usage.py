"""Usage by key and day: counted once, seen by whom it concerns, kept over a restart."""
import csv
import datetime
import io
import subprocess
import time

import pytest

from conftest import JFK, PATIENCE, SONANT, make_home, needs_model
from schema_check import check_reply

TODAY = datetime.datetime.now(datetime.timezone.utc).date().isoformat()


def add_key(home, name, *options):
    made = subprocess.run([SONANT, "serve", "keys", "add", name, "--home", str(home), *options], capture_output=True, text=True)
    assert made.returncode == 0, made.stderr
    return next(word for word in made.stdout.split() if word.startswith("sn_"))


def usage(server, query=""):
    """A request is counted when its last byte has gone, a moment after the client has it."""
    time.sleep(0.2 * PATIENCE)
    return server.get("/audio/usage" + query)


def rows(reply):
    return {r["key"]: r for r in reply.json["usage"]}


def test_requests_and_seconds_are_counted(serve):
    server = serve(preload="none")
    assert server.get("/audio/usage").json["usage"] == []
    for _ in range(2):
        assert server.post("/audio/quality", form={"file": ("a.wav", JFK), "scores": "false"}).status == 200
    assert server.post("/audio/quality", form={"file": ("a.wav", b"not audio")}).status == 422
    server.get("/health/live")
    row = check_reply(server, "GET", "/audio/usage", usage(server))["usage"][0]
    assert row["day"] == TODAY and row["key"] == "" and row["characters"] == 0 and row["speech_seconds"] == 0
    assert row["requests"] == 4 and row["failed"] == 1 and row["audio_seconds"] == pytest.approx(22, abs=0.01)


def test_a_key_sees_itself_and_a_manager_sees_all(serve, tmp_path):
    home = make_home(tmp_path / "home")
    serve(home=home, preload="none").stop()
    user, other, manager = (add_key(home, n, *o) for n, o in (("ann", ["--scope", "use"]), ("bob@x", ["--scope", "use"]), ("chief", ["--scope", "use,manage"])))
    server = serve(home=home, preload="none", require_key="on")
    for key, count in ((user, 3), (other, 2)):
        server.key = key
        for _ in range(count):
            assert server.post("/audio/quality", form={"file": ("a.wav", JFK), "scores": "false"}).status == 200
    server.key = user
    assert set(rows(usage(server))) == {"ann"}
    assert server.get("/audio/config").status == 403
    server.key = manager
    told = rows(usage(server))
    assert told["ann"]["requests"] == 5 and told["bob@x"]["requests"] == 2
    assert told["ann"]["audio_seconds"] == pytest.approx(33, abs=0.01)
    assert server.get("/audio/config").status == 200
    text = usage(server, "?format=csv")
    assert text.headers["content-type"] == "text/csv"
    table = list(csv.DictReader(io.StringIO(text.text)))
    assert {r["key"] for r in table} == {"ann", "bob@x", "chief"} and all(r["day"] == TODAY for r in table)
    server.stop()
    server = serve(home=home, preload="none", require_key="on")
    server.key = manager
    assert rows(usage(server))["ann"]["requests"] == 5


@pytest.mark.parametrize("query, field", [("days=0", "days"), ("days=x", "days"), ("days=99999", "days"), ("format=xml", "format"), ("nothing=1", "nothing")])
def test_wrong_questions(server, query, field):
    problem = check_reply(server, "GET", "/audio/usage", reply := server.get("/audio/usage?" + query))
    assert reply.status == 400 and problem["field"] == field
