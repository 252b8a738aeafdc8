#!/usr/bin/env python3
"""A server under mixed load for a given time: fails when memory or descriptors grow, a job is lost, or a reply is wrong.

usage: soak.py [--minutes 60] [--sonant build/sonant] [--model tiny.en] [--threads 2] [--seed 1]

Clients transcribe (new clips and repeated ones), speak, stream to and from WebSockets, post batch jobs, break off in the middle, and send
nonsense, all at once. Caches are small, so that they turn over. Resident memory of the last tenth of the time is compared with that of
minute five (a twelfth of a shorter run, at least a minute): more than 5 % above it is a failure, as are descriptors that stay open, jobs
whose items are not all done exactly once, server errors (status 500 and above but 503), texts that differ from that of the first time, and
an end by SIGTERM with another status than 0."""
import argparse, asyncio, collections, json, os, pathlib, random, signal, socket, statistics, sys, threading, time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
import server as bench

TEXTS = ["Good morning.", "The train leaves at half past six.", "It costs 12.50 euros.", "Please hold the line.", "Nothing happened for a long time."]


class Soak:
    def __init__(self, args, server):
        self.args, self.server = args, server
        self.until = time.monotonic() + 60 * args.minutes
        self.counts, self.failures, self.lock = collections.Counter(), [], threading.Lock()
        self.jobs, self.texts = {}, {}
        self.samples, self.rate = bench.read_samples(str(bench.ROOT / "tests/audio/jfk.wav"))

    def note(self, what):
        with self.lock:
            self.counts[what] += 1

    def fail(self, what):
        with self.lock:
            self.failures.append(what)
        print("soak: " + what, flush=True)

    def post(self, path, body, headers):
        status, data, _ = bench.request(self.server.url + path, "POST", body, headers)
        self.note(f"{path} {status}")
        if status >= 500 and status != 503:
            self.fail(f"{path}: {status} {data[:200]}")
        return status, data

    # ---- clients: each does one thing; `dice` is the client's own ----

    def transcribe(self, dice):
        seed = dice.randrange(8) if dice.random() < 0.3 else dice.random()
        length = dice.choice([2, 4, 11])
        clip = bench.wav_of(bench.unlike(self.samples[:length * self.rate], seed), self.rate)
        status, data = self.post("/stt/transcribe", *bench.multipart(clip, {"model": self.args.model, "beam_size": 1}))
        if status == 200:
            text = "".join(c for c in json.loads(data)["text"].lower() if c.isalpha())  # a changed bit may move a comma
            if self.texts.setdefault(length, text)[:12] != text[:12]:
                self.fail(f"{length} s became {text!r} and {self.texts[length]!r}")

    def speak(self, dice):
        text = dice.choice(TEXTS) if dice.random() < 0.5 else f"Number {dice.randrange(10**6)}."
        status, data = self.post("/tts/synthesize", json.dumps({"text": text}), {"Content-Type": "application/json", "Accept": "audio/wav"})
        if status == 200 and data[:4] != b"RIFF":
            self.fail(f"speech that is no wav: {data[:20]}")

    def job(self, dice):
        items = [{"text": f"{dice.choice(TEXTS)} {dice.randrange(1000)}", "quality": False} for _ in range(dice.randrange(1, 5))]
        status, data = self.post("/tts/batch", json.dumps({"items": items}), {"Content-Type": "application/json"})
        if status == 202:
            with self.lock:
                self.jobs[json.loads(data)["id"]] = len(items)

    def break_off(self, dice):
        clip = bench.wav_of(bench.unlike(self.samples, dice.random()), self.rate)
        body, headers = bench.multipart(clip, {"model": self.args.model})
        with socket.create_connection((self.server.host, self.server.port), 60) as s:
            head = f"POST /stt/transcribe HTTP/1.1\r\nHost: x\r\nContent-Length: {len(body)}\r\nContent-Type: {headers['Content-Type']}\r\n\r\n"
            s.sendall(head.encode() + body[:dice.choice([100, len(body) // 2, len(body)])])
            time.sleep(dice.random() / 4)
        self.note("broken off")

    def nonsense(self, dice):
        data = dice.randbytes(dice.randrange(1, 4000))
        self.post("/stt/transcribe", *bench.multipart(data, {"model": self.args.model}))
        self.post("/tts/synthesize", data, {"Content-Type": "application/json"})
        with socket.create_connection((self.server.host, self.server.port), 60) as s:
            s.sendall(data)

    def sockets(self, dice):
        asyncio.run(self.live(dice) if dice.random() < 0.5 else self.spoken(dice))

    async def live(self, dice):
        ws = await bench.open_socket(self.server, "/stt/stream", model=self.args.model, format="pcm16", sample_rate=self.rate)
        data = bench.unlike(self.samples[:4 * self.rate], dice.random()).tobytes()
        for at in range(0, len(data), 6400):
            await ws.send(data[at:at + 6400])
            await asyncio.sleep(0.02)
        if dice.random() < 0.3:
            return ws.transport.abort()  # without a word
        await ws.send(json.dumps({"type": "finish"}))
        await self.until_done(ws, "live")

    async def spoken(self, dice):
        ws = await bench.open_socket(self.server, "/tts/stream")
        for word in dice.choice(TEXTS).split():
            await ws.send(json.dumps({"type": "text", "text": word + " "}))
        await ws.send(json.dumps({"type": "finish"}))
        await self.until_done(ws, "spoken")

    async def until_done(self, ws, what):
        async for message in ws:
            event = json.loads(message) if isinstance(message, str) else {"type": "audio"}
            if event["type"] == "error":
                self.fail(f"{what}: {message}")
            if event["type"] in ("done", "error"):
                break
        self.note(what)
        await ws.close()

    def client(self, index):
        dice = random.Random(self.args.seed * 1000 + index)
        while time.monotonic() < self.until:
            act = dice.choices([self.transcribe, self.speak, self.job, self.break_off, self.nonsense, self.sockets], [6, 4, 1, 1, 1, 2])[0]
            try:
                act(dice)
            except Exception as error:  # a connection that fails is a finding, not the end of the run
                self.fail(f"{act.__name__}: {error!r}")
            time.sleep(dice.random() / 2)

    # ---- the end ----

    def check_jobs(self):
        until = time.monotonic() + 120 + 5 * len(self.jobs)
        for job, items in self.jobs.items():
            while True:
                state = json.loads(bench.request(f"{self.server.url}/jobs/{job}", "GET")[1])
                if state.get("state") == "done" or time.monotonic() > until:
                    break
                time.sleep(0.2)
            if state.get("state") != "done" or state["done"] + state["failed"] != items or state["failed"]:
                self.fail(f"job {job} of {items} items: {state}")


def descriptors(server):
    return len(os.listdir(f"/proc/{server.process.pid}/fd"))


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--minutes", type=float, default=60)
    p.add_argument("--sonant", default=str(bench.ROOT / "build/sonant"))
    p.add_argument("--model", default="tiny.en")
    p.add_argument("--threads", type=int, default=2)
    p.add_argument("--clients", type=int, default=6)
    p.add_argument("--seed", type=int, default=1)
    args = p.parse_args()
    with bench.Server(args, result_cache="8M", audio_cache="8M", cache_memory="4M", preload=args.model + ",speak") as server:
        soak, begun, memory = Soak(args, server), time.monotonic(), []
        before = descriptors(server)
        clients = [threading.Thread(target=soak.client, args=(i,)) for i in range(args.clients)]
        [c.start() for c in clients]
        while any(c.is_alive() for c in clients):
            time.sleep(5)
            memory.append((time.monotonic() - begun, server.resident()))
        print(f"soak: {sum(soak.counts.values())} acts, resident {memory[-1][1] / 1e6:.1f} MB; now the jobs that are left", flush=True)
        soak.check_jobs()
        time.sleep(5)
        left = descriptors(server)
        server.process.send_signal(signal.SIGTERM)
        status = server.process.wait(60)
    from_time = min(300, max(60, 5 * args.minutes))
    early = statistics.median([m for t, m in memory if from_time <= t < from_time + 60] or [memory[-1][1]])
    late = statistics.median([m for t, m in memory if t >= 0.9 * memory[-1][0]])
    print(f"soak: {args.minutes:g} minutes, " + ", ".join(f"{n} {what}" for what, n in sorted(soak.counts.items())))
    print(f"soak: resident {early / 1e6:.1f} MB at {from_time:.0f} s, {late / 1e6:.1f} MB at the end ({100 * (late / early - 1):+.1f} %); "
          f"{before} descriptors, {left} at the end; {len(soak.jobs)} jobs")
    if late > 1.05 * early:
        soak.fail("memory has grown by more than 5 %")
    if left > before + 16:
        soak.fail(f"{left - before} more descriptors are open than at the start")
    if status != 0:
        soak.fail(f"the server ended with status {status}")
    print("soak: " + ("failed" if soak.failures else "passed"))
    sys.exit(1 if soak.failures else 0)


if __name__ == "__main__":
    main()
