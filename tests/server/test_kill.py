"""kill -9 at random moments while batches come in and are worked on: what was accepted is finished, each item once, and nothing is damaged.
KILLS says how often (SEED where the moments are to differ); `meson test --suite long` kills 200 times."""
import http.client
import os
import random
import sqlite3
import threading
import time

from tiny import OPTIONS, SPEAK, clip, tiny_home

KILLS = int(os.environ.get("KILLS", "8"))
SEED = int(os.environ.get("SEED", "6"))


class Client(threading.Thread):
    """Posts batches until the server is gone. A reply that does not come leaves open whether the batch was accepted."""

    def __init__(self, server, accepted, seed):
        super().__init__()
        self.server, self.accepted, self.random = server, accepted, random.Random(seed)
        self.unclear = 0
        self.start()

    def batch(self):
        count = self.random.randint(1, 6)
        numbers = [self.random.getrandbits(30) for _ in range(count)]
        if self.random.random() < 0.3:
            files = [(f"{n}.wav", clip(n % 1000003, self.random.uniform(0.1, 0.4))) for n in numbers]
            return self.server.post("/stt/batch", form={"file": files}), [name for name, _ in files]
        items = [{"name": str(n), "text": f"This is number {n}. " * self.random.randint(1, 12)} for n in numbers]
        return self.server.post("/tts/batch", json_body={"items": items, "defaults": SPEAK}), [i["name"] for i in items]

    def run(self):
        while True:
            try:
                reply, names = self.batch()
            except (OSError, http.client.HTTPException):
                self.unclear += 1
                return
            if reply.status != 202:
                return
            self.accepted[reply.json["id"]] = names
            time.sleep(self.random.uniform(0.02, 0.1))


def check_store(home):
    """The database is whole, and there is a file for each of its blobs and no other."""
    with sqlite3.connect(home / "server/sonant.db") as db:
        assert db.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        assert db.execute("PRAGMA foreign_key_check").fetchall() == []
        known = {hash.hex(): uses for hash, uses in db.execute("SELECT hash, uses FROM blobs")}
        used = {}
        for query in ("SELECT input FROM items WHERE input IS NOT NULL", "SELECT output FROM items WHERE output IS NOT NULL",
                      "SELECT blob FROM cache"):
            for (hash,) in db.execute(query):
                used[hash.hex()] = used.get(hash.hex(), 0) + 1
    db.close()
    files = {p.parent.name + p.name for p in (home / "server/blobs").rglob("*") if p.is_file()}
    assert known == used
    assert files == set(known)


def interrupted(home):
    """Items that were in work when the server ended."""
    if not (home / "server/sonant.db").exists():
        return 0
    db = sqlite3.connect(f"file:{home}/server/sonant.db?mode=ro", uri=True)
    try:
        return db.execute("SELECT count(*) FROM items WHERE state = 'running'").fetchone()[0]
    except sqlite3.OperationalError:  # not made yet
        return 0
    finally:
        db.close()


def check_results(server, accepted):
    jobs = {j["id"]: j for j in server.get("/jobs?limit=1000").json["jobs"]}
    for job, names in accepted.items():
        state = jobs.get(job) or server.get("/jobs/" + job).json
        results = server.get(f"/jobs/{job}/results").json["results"]
        assert not (errors := [r["error"]["detail"] for r in results if "error" in r]), errors
        assert (state["state"], state["done"], state["failed"], state["items"]) == ("done", len(names), 0, len(names)), state
        assert [(r["name"], r["state"]) for r in results] == [(n, "done") for n in names]
        for r in results[:1]:
            if "audio_type" in r:
                sound = server.get(f"/jobs/{job}/results/{r['index']}", headers={"Accept": "audio/*"})
                assert sound.status == 200 and abs(len(sound.body) - 44 - 2 * r["result"]["duration"] * r["result"]["sample_rate"]) < 64


def test_a_kill_loses_and_repeats_nothing(serve, tmp_path):
    rng = random.Random(SEED)
    home = tiny_home(tmp_path)
    accepted, unclear, caught = {}, 0, 0
    options = {**OPTIONS, "max_jobs": 100000, "audio_cache": "2M"}
    for kill in range(KILLS):
        server = serve(home, **options)
        clients = [Client(server, accepted, rng.getrandbits(32)) for _ in range(2)]
        time.sleep(rng.choice((rng.uniform(0, 0.03), rng.uniform(0, 0.8))))
        server.kill()
        for client in clients:
            client.join()
            unclear += client.unclear
        caught += interrupted(home)
    assert caught, "no kill met an item in work"
    server = serve(home, **options)
    until = time.monotonic() + 60 + KILLS
    while any(j["state"] in ("queued", "running") for j in server.get("/jobs?limit=1000").json["jobs"]):
        assert time.monotonic() < until, "jobs are not finished"
        time.sleep(0.1)
    check_results(server, accepted)
    every = server.get("/jobs?limit=1000").json["jobs"]
    assert all(j["state"] == "done" and j["done"] == j["items"] for j in every)
    if len(every) < 1000:
        assert set(accepted) <= {j["id"] for j in every} and len(every) <= len(accepted) + unclear
    assert server.stop() == 0
    check_store(home)
    print(f"\n{KILLS} kills, {len(accepted)} jobs of {sum(map(len, accepted.values()))} items accepted and finished, "
          f"{unclear} without a reply, {caught} items interrupted")
