"""Batches as jobs: acceptance, progress, results, cancel, other keys, restarts, full disks."""
import hashlib
import os
import re
import resource
import sqlite3
import subprocess
import time

import pytest

from conftest import JFK, PATIENCE, SONANT, eventually
from schema_check import check_reply, document_of
from tiny import OPTIONS, SPEAK, VOICE, clip, tiny_home, wait_for

UNKNOWN = "0" * 32


@pytest.fixture(scope="module")
def server(serve, tmp_path_factory):
    return serve(tiny_home(tmp_path_factory.mktemp("jobs")), **OPTIONS)


def post(server, path, status=202, **request):
    reply = server.post(path, **request)
    assert reply.status == status, reply.text
    return check_reply(server, "POST", path, reply)


def speak(server, items, defaults=SPEAK, **request):
    return post(server, "/tts/batch", json_body={"items": items, "defaults": defaults}, **request)


def get(server, path, status=200, **request):
    reply = server.get(path, **request)
    assert reply.status == status, reply.text
    return check_reply(server, "GET", path, reply)


def delete(server, path, status=200, **request):
    reply = server.delete(path, **request)
    assert reply.status == status, reply.text
    return check_reply(server, "DELETE", path, reply)


def blob_of(server, data):
    name = hashlib.sha256(data).hexdigest()
    return server.home / "server/blobs" / name[:2] / name[2:]


def gone(path):
    """Files go once the database no longer names them: just after the reply that says so."""
    return eventually(lambda: not path.exists())


def blob_files(server):
    return [p for p in (server.home / "server/blobs").rglob("*") if p.is_file()]


# ---- what a job does

def test_texts_become_speech(server):
    job = speak(server, [{"text": "One."}, {"name": "second", "text": "Two.", "response_format": "flac"}])
    assert job["kind"] == "synthesize" and job["items"] == 2 and re.fullmatch("[0-9a-f]{32}", job["id"])
    done = wait_for(server, job["id"])
    assert (done["state"], done["done"], done["failed"], done["progress"]) == ("done", 2, 0, 1)
    results = get(server, f"/jobs/{job['id']}/results")["results"]
    assert [r["index"] for r in results] == [0, 1]
    assert "name" not in results[0] and results[1]["name"] == "second"
    assert [r["audio_type"] for r in results] == ["audio/wav", "audio/flac"]
    for index, begin in ((0, b"RIFF"), (1, b"fLaC")):
        assert get(server, f"/jobs/{job['id']}/results/{index}", headers={"Accept": "audio/*"}).startswith(begin)


def test_an_item_sounds_as_alone(server):
    text = "The same words."
    alone = server.post("/tts/synthesize", json_body={"text": text, **SPEAK}, headers={"Accept": "audio/*"})
    assert alone.status == 200
    job = speak(server, [{"text": "Others."}, {"text": text}, {"text": "Yet others."}])["id"]
    wait_for(server, job)
    assert server.get(f"/jobs/{job}/results/1", headers={"Accept": "audio/wav"}).body == alone.body


def test_an_items_own_options_come_before_the_defaults(server):
    job = speak(server, [{"text": "Words."}, {"text": "Words.", "sample_rate": 8000}], {**SPEAK, "sample_rate": 24000})["id"]
    wait_for(server, job)
    assert [r["result"]["sample_rate"] for r in get(server, f"/jobs/{job}/results")["results"]] == [24000, 8000]


def test_files_become_text(server):
    files = [("one.wav", JFK), ("zwei ü.wav", clip(2, 40))]  # the second goes through a file
    job = post(server, "/stt/batch", form={"file": files, "language": "en"})
    assert job["kind"] == "transcribe"
    wait_for(server, job["id"])
    alone = server.post("/stt/transcribe", form={"file": ("a.wav", JFK), "language": "en"}).json
    results = get(server, f"/jobs/{job['id']}/results")["results"]
    assert [r.get("name") for r in results][:2] == ["one.wav", "zwei ü.wav"]
    assert results[0]["result"]["text"] == alone["text"] != ""
    assert "audio_type" not in results[0]
    assert get(server, f"/jobs/{job['id']}/results/0")["result"]["text"] == alone["text"]


def test_a_mistake_is_one_items(server):
    job = post(server, "/stt/batch", form={"file": [("good.wav", clip(1)), ("bad.wav", b"RIFF nothing of that")]})["id"]
    state = wait_for(server, job)
    assert (state["done"], state["failed"], state["progress"]) == (1, 1, 1)
    good, bad = get(server, f"/jobs/{job}/results")["results"]
    assert good["state"] == "done" and "error" not in good
    assert bad["state"] == "failed" and bad["error"]["code"] == "SN_E_FORMAT" and "result" not in bad
    problem = get(server, f"/jobs/{job}/results/1", 404, headers={"Accept": "audio/*"})
    assert "failed" in problem["detail"]


def test_results_come_in_pages(server):
    job = speak(server, [{"text": f"Number {i}."} for i in range(7)])["id"]
    wait_for(server, job)
    seen, at = [], 0
    while at is not None:
        page = get(server, f"/jobs/{job}/results?from={at}&limit=3")
        assert len(page["results"]) <= 3 and page["job"]["id"] == job
        seen += [r["index"] for r in page["results"]]
        at = page.get("next")
    assert seen == list(range(7))


def test_jobs_are_listed_newest_first(server):
    ids = [speak(server, [{"text": "A."}])["id"] for _ in range(3)]
    assert [j["id"] for j in get(server, "/jobs?limit=3")["jobs"]] == ids[::-1]


def test_inputs_are_not_kept(server):
    body = clip(77)
    job = post(server, "/stt/batch", form={"file": [("a.wav", body)]})["id"]
    wait_for(server, job)
    assert gone(blob_of(server, body))


# ---- cancel

def test_a_job_is_cancelled(server):
    job = speak(server, [{"text": f"A long sentence that is number {i}, said slowly. " * 40} for i in range(400)])["id"]
    wait_for(server, job, ("running",))
    cancelled = delete(server, "/jobs/" + job)
    assert cancelled["state"] == "cancelled" and cancelled["finished"]
    assert eventually(lambda: all(r["state"] != "running" for r in get(server, f"/jobs/{job}/results?limit=1000")["results"]))
    after = get(server, "/jobs/" + job)
    time.sleep(0.3)
    assert get(server, "/jobs/" + job)["done"] == after["done"] < 400
    states = [r["state"] for r in get(server, f"/jobs/{job}/results?limit=1000")["results"]]
    assert states.count("done") == after["done"] and states.count("cancelled") == 400 - after["done"]
    assert delete(server, "/jobs/" + job)["state"] == "cancelled"


def test_a_running_item_stops_within_a_step(server):
    job = speak(server, [{"text": "An endless tale goes on and on, word for word. " * 8000}])["id"]
    wait_for(server, job, ("running",))
    time.sleep(0.2)
    delete(server, "/jobs/" + job)
    until = time.monotonic() + 15 * PATIENCE
    while get(server, f"/jobs/{job}/results/0")["state"] == "running":
        assert time.monotonic() < until
        time.sleep(0.02)
    assert get(server, f"/jobs/{job}/results/0")["state"] == "cancelled"


def test_a_removed_job_leaves_nothing(server):
    text = "Nothing of this stays " + os.urandom(8).hex()
    job = speak(server, [{"text": text}])["id"]
    wait_for(server, job)
    sound = server.get(f"/jobs/{job}/results/0", headers={"Accept": "audio/*"}).body
    assert blob_of(server, sound).exists()
    assert delete(server, f"/jobs/{job}?remove=true")["id"] == job
    get(server, "/jobs/" + job, 404)
    get(server, f"/jobs/{job}/results", 404)
    get(server, f"/jobs/{job}/results/0", 404)
    with sqlite3.connect(f"file:{server.home}/server/sonant.db?mode=ro", uri=True) as db:
        assert db.execute("SELECT count(*) FROM items WHERE job = ?", (job,)).fetchone() == (0,)
        assert db.execute("SELECT count(*) FROM items WHERE params LIKE ?", (f"%{text}%",)).fetchone() == (0,)
    assert gone(blob_of(server, sound))


# ---- what is refused

@pytest.mark.parametrize("body, status, field", [
    ({}, 400, "items"),
    ({"items": []}, 400, "items"),
    ({"items": [{"text": "x"}], "more": 1}, 400, "more"),
    ({"items": [{"text": "x"}, {"name": "y"}]}, 400, "items.1.text"),
    ({"items": [{"text": "x", "speed": 99}]}, 400, "items.0.speed"),
    ({"items": [{"text": "x", "wrong": 1}]}, 400, "wrong"),
    ({"items": [{"text": "x"}], "defaults": {"speed": "fast"}}, 400, "defaults.speed"),
    ({"items": [{"text": ""}]}, 400, "items.0.text"),
    ({"items": "x"}, 400, "items"),
])
def test_a_wrong_batch_of_texts(server, body, status, field):
    before = len(get(server, "/jobs?limit=1000")["jobs"])
    problem = post(server, "/tts/batch", status, json_body=body)
    assert problem["field"].endswith(field)
    assert len(get(server, "/jobs?limit=1000")["jobs"]) == before


@pytest.mark.parametrize("form, status, field", [
    ({"language": "en"}, 400, "file"),
    ({"file": "only text"}, 400, "file"),
    ({"file": [("a.wav", b"")]}, 400, "file"),
    ({"file": [("a.wav", JFK)], "beam_size": 99}, 400, "beam_size"),
    ({"file": [("a.wav", JFK)], "wrong": 1}, 400, "wrong"),
])
def test_a_wrong_batch_of_files(server, form, status, field):
    assert post(server, "/stt/batch", status, form=form)["field"] == field


@pytest.mark.parametrize("method, path", [("GET", ""), ("GET", "/results"), ("GET", "/results/0"), ("DELETE", ""),
                                          ("DELETE", "?remove=true")])
@pytest.mark.parametrize("job", [UNKNOWN, "x", "'%20OR%201=1;--", "%F0%9F%8E%99", "a" * 64])
def test_an_unknown_job(server, method, path, job):
    reply = server.request(method, f"/jobs/{job}{path}")
    assert reply.status == 404 and reply.json["code"] == "SN_E_NOT_FOUND"


def test_what_is_below_a_job_is_not_taken_for_its_name(server):
    reply = server.delete(f"/jobs/{UNKNOWN}/results")
    assert reply.status == 405 and reply.headers["allow"] == "GET"


def test_an_unknown_item(server):
    job = speak(server, [{"text": "A."}])["id"]
    assert get(server, f"/jobs/{job}/results/1", 404)["field"] == "index"
    get(server, f"/jobs/{job}/results/-1", 400)
    get(server, f"/jobs/{job}/results/x", 400)
    get(server, f"/jobs/{job}/results?limit=0", 400)


def test_batches_offer_what_single_requests_offer(server):
    schemas = document_of(server)["components"]["schemas"]
    single, item = schemas["SynthesizeRequest"]["properties"], schemas["TtsBatchRequest"]["properties"]["items"]["items"]["properties"]
    assert set(item) - {"name"} == set(single) - {"stream"}
    form, batch = schemas["TranscribeForm"]["properties"], schemas["SttBatchForm"]["properties"]
    assert set(batch) == set(form) - {"response_format", "stream", "audio_data", "max_line_width", "max_line_count"}
    for name in set(form) & set(batch) - {"file"}:
        assert batch[name] == form[name], name


def test_limits(serve, tmp_path):
    small = serve(tiny_home(tmp_path), **OPTIONS, max_job_items=2, max_jobs=1, max_text="100", batch_sessions=1)
    problem = speak(small, [{"text": "x"}] * 3, status=413)
    assert problem["field"] == "items" and "2" in problem["detail"]
    assert post(small, "/stt/batch", 413, form={"file": [("a.wav", clip(i)) for i in range(3)]})["field"] == "file"
    assert speak(small, [{"text": "x"}, {"text": "x" * 101}], status=413)["field"] == "items.1.text"
    reply = None
    for _ in range(20):
        reply = small.post("/tts/batch", json_body={"items": [{"text": "word " * 19, "speed": 0.25}] * 2, "defaults": SPEAK})
        if reply.status != 202:
            break
    assert reply.status == 503 and int(reply.headers["retry-after"]) > 0 and reply.json["code"] == "SN_E_BUSY"


# ---- keys

def add_key(home, name, *options):
    out = subprocess.run([SONANT, "serve", "keys", "add", name, "--home", str(home), *options], capture_output=True, text=True)
    assert out.returncode == 0, out.stderr
    return re.search(r"sn_[\w-]{43}", out.stdout)[0]


def test_a_key_sees_its_own_jobs(serve, tmp_path):
    home = tiny_home(tmp_path)
    mine = add_key(home, "mine")
    guarded = serve(home, **OPTIONS, require_key="on")
    guarded.key = mine
    theirs = {"Authorization": "Bearer " + add_key(home, "theirs")}  # while it serves
    boss = {"Authorization": "Bearer " + add_key(home, "boss", "--scope", "use,manage")}
    job = speak(guarded, [{"text": "Secret."}])["id"]
    wait_for(guarded, job)
    until = time.monotonic() + 10
    while guarded.get("/jobs", headers=theirs).status == 401 and time.monotonic() < until:
        time.sleep(0.1)
    assert get(guarded, "/jobs", headers=theirs)["jobs"] == []
    for path in ("", "/results", "/results/0"):
        get(guarded, f"/jobs/{job}{path}", headers=boss)
        get(guarded, f"/jobs/{job}{path}", 404, headers=theirs)
    delete(guarded, "/jobs/" + job, 404, headers=theirs)
    delete(guarded, f"/jobs/{job}?remove=true", 404, headers=theirs)
    assert get(guarded, "/jobs/" + job)["state"] == "done"
    assert guarded.get("/jobs/" + job, headers={"Authorization": "Bearer sn_" + "x" * 43}).status == 401
    assert [j["id"] for j in get(guarded, "/jobs", headers=boss)["jobs"]] == [job]


def test_a_large_job_does_not_hold_up_another_keys(serve, tmp_path):
    home = tiny_home(tmp_path)
    large, small = add_key(home, "large"), add_key(home, "small")
    server = serve(home, **OPTIONS, require_key="on", batch_sessions=1)
    server.key = large
    first = speak(server, [{"text": f"Number {i} of very many sentences. " * 20} for i in range(300)])["id"]
    wait_for(server, first, ("running",))
    server.key = small
    wait_for(server, speak(server, [{"text": "Only this."}] * 3)["id"])
    server.key = large
    assert get(server, "/jobs/" + first)["done"] < 300
    delete(server, "/jobs/" + first)


# ---- restarts, time, space

def test_a_home_is_for_one_server(server, serve):
    with pytest.raises(RuntimeError, match="another server"):
        serve(server.home, **OPTIONS)


def test_a_stopped_server_goes_on_where_it_was(serve, tmp_path):
    home = tiny_home(tmp_path)
    first = serve(home, **OPTIONS, batch_sessions=1)
    job = speak(first, [{"text": f"Sentence {i} of this job is not short at all. " * 5} for i in range(60)])["id"]
    wait_for(first, job, ("running",))
    time.sleep(0.3)
    assert first.stop() == 0
    with sqlite3.connect(home / "server/sonant.db") as db:
        assert db.execute("SELECT count(*) FROM items WHERE state = 'running'").fetchone() == (0,)
        before = db.execute("SELECT count(*) FROM items WHERE state = 'done'").fetchone()[0]
    assert before < 60
    second = serve(home, **OPTIONS)
    done = wait_for(second, job)
    assert (done["done"], done["failed"]) == (60, 0)


def test_an_item_that_ends_the_server_again_and_again_is_given_up(serve, tmp_path):
    home = tiny_home(tmp_path)
    first = serve(home, **OPTIONS)
    job = speak(first, [{"text": "Fine."}])["id"]
    wait_for(first, job)
    first.stop()
    with sqlite3.connect(home / "server/sonant.db") as db:  # as eight crashes leave it
        db.execute("UPDATE items SET state = 'running', attempts = 8, result = NULL, output = NULL")
        db.execute("UPDATE jobs SET state = 'running', done = 0")
    db.close()
    second = serve(home, **OPTIONS)
    other = speak(second, [{"text": "Others do not wait for it."}])["id"]
    assert wait_for(second, other)["done"] == 1
    # on a slow machine it may have lived for a while by now
    assert get(second, "/jobs/" + job)["state"] == "running" or second.get("/audio/health").json["uptime"] > 5
    assert wait_for(second, job)["failed"] == 1  # after it has lived for a while
    assert "8 times" in get(second, f"/jobs/{job}/results/0")["error"]["detail"]


def test_old_jobs_go(serve, tmp_path):
    home = tiny_home(tmp_path)
    first = serve(home, **OPTIONS, job_retention="1h", audio_cache=0, result_cache=0)
    job = speak(first, [{"text": "Soon gone."}])["id"]
    wait_for(first, job)
    kept = speak(first, [{"text": "Kept."}])["id"]
    wait_for(first, kept)
    assert len(blob_files(first)) == 2
    first.stop()
    with sqlite3.connect(home / "server/sonant.db") as db:
        db.execute("UPDATE jobs SET finished_at = finished_at - 3601 WHERE id = ?", (job,))
    db.close()
    second = serve(home, **OPTIONS, job_retention="1h", audio_cache=0, result_cache=0)
    until = time.monotonic() + 10
    while second.get("/jobs/" + job).status == 200 and time.monotonic() < until:
        time.sleep(0.1)
    get(second, "/jobs/" + job, 404)
    get(second, "/jobs/" + kept)
    assert eventually(lambda: len(blob_files(second)) == 1)


def limit_files(server, size):
    resource.prlimit(server.process.pid, resource.RLIMIT_FSIZE, (size, resource.RLIM_INFINITY))


def test_a_full_disk_is_507_and_recovers(serve, tmp_path):
    """A file that may not grow is what a full disk is; both end a write in its middle."""
    server = serve(tiny_home(tmp_path), **OPTIONS, audio_cache=0, result_cache=0)
    big = clip(1, 10)
    limit_files(server, 100000)
    problem = post(server, "/stt/batch", 507, form={"file": [("small.wav", clip(2)), ("big.wav", big)]})
    assert problem["code"] == "SN_E_NO_SPACE"
    assert get(server, "/jobs")["jobs"] == [] and blob_files(server) == []
    assert server.get("/audio/health").status == 200
    limit_files(server, resource.RLIM_INFINITY)
    job = post(server, "/stt/batch", form={"file": [("small.wav", clip(2)), ("big.wav", big)]})["id"]
    assert wait_for(server, job)["done"] == 2


def test_a_job_waits_while_the_disk_is_full(serve, tmp_path):
    server = serve(tiny_home(tmp_path), **OPTIONS, audio_cache=0, result_cache=0)
    limit_files(server, 500000)  # room for the job, not for its result of 900000 bytes
    job = speak(server, [{"text": "Long words, long words. " * 40, "sample_rate": 192000}])["id"]
    assert eventually(lambda: "space" in get(server, "/jobs/" + job).get("waiting", "")), get(server, "/jobs/" + job)
    limit_files(server, resource.RLIM_INFINITY)
    done = wait_for(server, job)
    assert (done["done"], done["failed"]) == (1, 0) and "waiting" not in done
    assert len(blob_files(server)) == 1


def fill(directory):
    """Takes all the room; the file that does."""
    ballast = directory / "ballast"
    with open(ballast, "wb", buffering=0) as f:
        for size in (65536, 4096, 1):
            try:
                while f.write(b"x" * size):
                    pass
            except OSError:
                pass
    return ballast


def test_a_full_file_system_is_507_and_recovers(serve, tmp_path):
    home = tiny_home(tmp_path)
    (home / "server").mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=8m", "tmpfs", str(home / "server")], capture_output=True).returncode:
        pytest.skip("file systems cannot be mounted here")
    try:
        server = serve(home, **OPTIONS, batch_sessions=1)
        before = speak(server, [{"text": f"Accepted while there was room, number {i}. " * 8} for i in range(30)])["id"]
        ballast = fill(home / "server")
        until = time.monotonic() + 90
        while "waiting" not in (state := get(server, "/jobs/" + before)) and time.monotonic() < until:
            time.sleep(0.05)
        assert "space" in state["waiting"] and state["done"] < 30
        for _ in range(3):
            assert post(server, "/stt/batch", 507, form={"file": [("a.wav", clip(5, 3))]})["code"] == "SN_E_NO_SPACE"
        assert server.post("/tts/synthesize", json_body={"text": "Spoken all the same.", **SPEAK}).status == 200
        assert server.get("/audio/health").status == 200 and len(get(server, "/jobs")["jobs"]) == 1
        ballast.unlink()
        after = post(server, "/stt/batch", form={"file": [("a.wav", clip(5, 3))]})["id"]
        assert wait_for(server, before)["done"] == 30 and wait_for(server, after)["done"] == 1
        assert server.stop() == 0
        with sqlite3.connect(home / "server/sonant.db") as db:
            assert db.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        db.close()
    finally:
        subprocess.run(["umount", "-l", str(home / "server")], check=True)


def test_a_damaged_database_is_told_at_the_start(serve, tmp_path):
    home = tiny_home(tmp_path)
    serve(home, **OPTIONS).stop()
    path = home / "server/sonant.db"
    whole = path.read_bytes()
    path.write_bytes(whole[:4096] + os.urandom(len(whole) - 4096))
    with pytest.raises(RuntimeError, match="database"):
        serve(home, **OPTIONS)
    path.write_bytes(whole)
    assert serve(home, **OPTIONS).get("/jobs").status == 200
