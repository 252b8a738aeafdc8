#!/usr/bin/env python3
"""A server under load: prints a table of what its clients see.

usage: server.py [--sonant build/sonant] [--clip tests/audio/jfk.wav] [--requests 300] [--clients 4,8] [--only transcribe,...]
                 [--peer NAME=URL]... [--beam 1] [--model base] [--threads 2] [--json FILE]

The server is started by this program on a free port, with `threads` threads. A peer is another server that is running and takes OpenAI's
transcription requests (multipart: file, model, language, beam_size); it is measured with the same clips in turn with ours.

  transcribe  CLIENTS clients post the clip, one request after another. Every request's clip differs from all others in the last bit of
              some samples, and the server's caches are off, so that nothing is answered from memory
  short       a clip of 3 s posted while an hour of audio is being transcribed
  cached      requests per second of /audio/health, and of /tts/synthesize answered by the result cache (wrk, one core each)
  uploads     3 MB, and a chunked upload, of a clip that is in the result cache
  idle        memory of 1,000 WebSocket sessions that were started and say nothing
  live        8 live streams at the pace of the clock: from the write that completed a partial's audio to its arrival
  start       from the start of the process to a ready server, weights packed before

The generator's own CPU is stated, for it shares the machine. Needs the Python package websockets for idle and live, and wrk for cached."""
import argparse, array, asyncio, http.client, io, json, os, pathlib, random, re, resource, shutil, signal, statistics, subprocess, sys, tempfile, threading, time, urllib.parse, uuid, wave

ROOT = pathlib.Path(__file__).resolve().parents[1]
PARTS = ("transcribe", "short", "cached", "uploads", "idle", "live", "start")


def parse():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--sonant", default=str(ROOT / "build/sonant"))
    p.add_argument("--clip", default=str(ROOT / "tests/audio/jfk.wav"))
    p.add_argument("--requests", type=int, default=300)
    p.add_argument("--clients", default="4,8")
    p.add_argument("--only", default=",".join(PARTS))
    p.add_argument("--peer", action="append", default=[], metavar="NAME=URL")
    p.add_argument("--beam", type=int, default=1)
    p.add_argument("--model", default="base")
    p.add_argument("--threads", type=int, default=2)
    p.add_argument("--hour", type=float, default=3600, help="seconds of the long file")
    p.add_argument("--json", help="results also go here, a line each")
    return p.parse_args()


# ---- the server ----

class Server:
    def __init__(self, args, prefix=(), **options):
        self.home = tempfile.mkdtemp(prefix="sonant-bench-")
        installed = pathlib.Path(os.environ.get("SONANT_HOME") or pathlib.Path(os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache")) / "sonant")
        for name in ("models", "packed"):
            if (installed / name).exists():
                os.symlink((installed / name).resolve(), pathlib.Path(self.home) / name)
        command = [*prefix, args.sonant, "serve", "--home", self.home, "--port", "0", "--threads", str(args.threads), "--access-log", "none"]
        for name, value in options.items():
            command += ["--" + name.replace("_", "-"), str(value)]
        self.begun = time.perf_counter()
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
        for line in self.process.stdout:
            found = re.search(rb"serving on (http\S+)", line)
            if found:
                break
        else:
            sys.exit("the server did not start")
        threading.Thread(target=self.process.stdout.read, daemon=True).start()
        self.url = found[1].decode()
        parts = urllib.parse.urlsplit(self.url)
        self.host, self.port = parts.hostname, parts.port
        while request(self.url + "/health/ready", "GET")[0] != 200:
            time.sleep(0.002)
        self.ready = time.perf_counter() - self.begun

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.send_signal(signal.SIGTERM)
        try:
            self.process.wait(60)
        except subprocess.TimeoutExpired:
            self.process.kill()
        shutil.rmtree(self.home, ignore_errors=True)

    def resident(self):
        with open(f"/proc/{self.process.pid}/statm") as statm:
            return int(statm.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def request(url, method, body=None, headers=None, connection=None):
    parts = urllib.parse.urlsplit(url)
    c = connection or http.client.HTTPConnection(parts.hostname, parts.port, timeout=3700)
    c.request(method, parts.path, body, headers or {})
    reply = c.getresponse()
    data = reply.read()
    if not connection:
        c.close()
    return reply.status, data, reply.headers


def multipart(clip, fields):
    boundary = uuid.uuid4().hex
    body = b"".join(f'--{boundary}\r\nContent-Disposition: form-data; name="{k}"\r\n\r\n{v}\r\n'.encode() for k, v in fields.items())
    body += f'--{boundary}\r\nContent-Disposition: form-data; name="file"; filename="clip.wav"\r\nContent-Type: audio/wav\r\n\r\n'.encode()
    return body + clip + f"\r\n--{boundary}--\r\n".encode(), {"Content-Type": "multipart/form-data; boundary=" + boundary}


# ---- clips ----

def read_samples(path):
    with wave.open(path) as clip:
        return array.array("h", clip.readframes(clip.getnframes())), clip.getframerate()


def wav_of(samples, rate):
    out = io.BytesIO()
    with wave.open(out, "wb") as clip:
        clip.setnchannels(1), clip.setsampwidth(2), clip.setframerate(rate)
        clip.writeframes(samples.tobytes())
    return out.getvalue()


def unlike(samples, seed):
    """The samples with the last bit of a few of them changed: nothing that can be heard, and no cache that can know it."""
    copy, dice = array.array("h", samples), random.Random(seed)
    for _ in range(64):
        copy[dice.randrange(len(copy))] ^= 1
    return copy


def used():
    return sum(sum(resource.getrusage(who)[:2]) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))


def percentile(values, share):
    return sorted(values)[min(len(values) - 1, int(share * len(values)))]


# ---- the parts ----

class Table:
    def __init__(self, path):
        self.file = open(path, "a") if path else None

    def row(self, what, who, **values):
        print(f"{what:<34} {who:<22} " + "  ".join(f"{k} {v:.4g}" if isinstance(v, float) else f"{k} {v}" for k, v in values.items()), flush=True)
        if self.file:
            self.file.write(json.dumps({"what": what, "who": who, **values}) + "\n")
            self.file.flush()


def load(url, samples, rate, fields, clients, count, seed):
    """Latencies of `count` requests from `clients` clients, and the seconds that all took."""
    bodies, times, failed, lock = [multipart(wav_of(unlike(samples, seed + i), rate), fields) for i in range(count)], [], [], threading.Lock()

    def client():
        while True:
            with lock:
                if not bodies:
                    return
                body, headers = bodies.pop()
            start = time.perf_counter()
            status, data, _ = request(url, "POST", body, headers)
            with lock:
                times.append(time.perf_counter() - start)
                if status != 200 or b"country" not in data:
                    failed.append((status, data[:200]))

    start = time.perf_counter()
    threads = [threading.Thread(target=client) for _ in range(clients)]
    [t.start() for t in threads]
    [t.join() for t in threads]
    if failed:
        sys.exit(f"{url}: {len(failed)} of {count} requests failed, the first with {failed[0]}")
    return times, time.perf_counter() - start


def bench_transcribe(args, table):
    samples, rate = read_samples(args.clip)
    fields = {"model": "whisper-1", "language": "en", "beam_size": args.beam, "response_format": "json", "temperature": "0.0"}
    with Server(args, result_cache=0, audio_cache=0) as server:
        for clients in map(int, args.clients.split(",")):
            for name, url, extra in [("sonant", server.url + "/stt/transcribe", {"model": args.model}),
                                     *((*peer.split("=", 1), {}) for peer in args.peer)]:
                mine = {k: v for k, v in {**fields, **extra}.items() if name != "sonant" or k != "temperature"}
                load(url, samples, rate, mine, clients, 2 * clients, 1)
                before = used()
                times, seconds = load(url, samples, rate, mine, clients, args.requests, 1000 * clients)
                table.row(f"transcribe {len(samples) / rate:.0f} s, {clients} clients", name, rps=len(times) / seconds, p50=statistics.median(times),
                          p95=percentile(times, 0.95), requests=len(times), generator_cores=(used() - before) / seconds)


def post_and_lose(url, body, headers):
    try:
        request(url, "POST", body, headers)
    except (http.client.HTTPException, OSError):
        pass  # the server is stopped before the hour is through


def bench_short(args, table):
    samples, rate = read_samples(args.clip)
    hour, gap = array.array("h"), array.array("h", bytes(rate))
    while len(hour) < args.hour * rate:
        hour += unlike(samples, len(hour)) + gap
    three = samples[:3 * rate]
    with Server(args, result_cache=0, audio_cache=0) as server:
        url = server.url + "/stt/transcribe"
        body, headers = multipart(wav_of(hour, rate), {"model": args.model})
        long = threading.Thread(target=post_and_lose, args=(url, body, headers))
        long.start()
        time.sleep(5)
        times = []
        for i in range(40):
            body, headers = multipart(wav_of(unlike(three, i), rate), {"model": args.model, "language": "en"})
            start = time.perf_counter()
            request(url, "POST", body, headers)
            times.append(time.perf_counter() - start)
            time.sleep(0.3)
        table.row(f"3 s during {args.hour:.0f} s of audio", "sonant", p50=statistics.median(times), p95=percentile(times, 0.95), worst=max(times),
                  requests=len(times), long_runs_on=str(long.is_alive()))
        server.process.kill()
        long.join()


def run_wrk(url, script=None, seconds=10):
    command = ["taskset", "-c", "1", "wrk", "-t1", "-c32", f"-d{seconds}s", "--latency"] + (["-s", script] if script else []) + [url]
    before = used()
    start = time.perf_counter()
    text = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    units = {"us": 1e-6, "ms": 1e-3, "s": 1}
    value, unit = re.search(r"99%\s+([\d.]+)(us|ms|s)", text).groups()
    rps = float(re.search(r"Requests/sec:\s+([\d.]+)", text)[1])
    bad = re.search(r"Non-2xx or 3xx responses: (\d+)", text)
    return {"rps": rps, "p99": float(value) * units[unit], "failed": int(bad[1]) if bad else 0, "generator_cores": (used() - before) / (time.perf_counter() - start)}


def bench_cached(args, table):
    if not shutil.which("wrk") or os.cpu_count() < 2:
        return print("cached: left out, wrk (Debian: apt install wrk) and two cores are needed")
    with Server(args, prefix=("taskset", "-c", "0"), access_log="none") as server, tempfile.NamedTemporaryFile("w", suffix=".lua") as script:
        table.row("GET /audio/health, one core", "sonant", **run_wrk(server.url + "/audio/health"))
        body = json.dumps({"text": "Good morning.", "quality": False, "response_format": "mp3"})
        status, data, _ = request(server.url + "/tts/synthesize", "POST", body, {"Content-Type": "application/json"})
        text = "Good morning."
        while status == 200 and len(data) < 32 << 10:
            text += " It is a fine day."
            body = json.dumps({"text": text, "quality": False, "response_format": "mp3"})
            status, data, _ = request(server.url + "/tts/synthesize", "POST", body, {"Content-Type": "application/json"})
        script.write(f'wrk.method = "POST"\nwrk.headers["Content-Type"] = "application/json"\nwrk.body = {json.dumps(body)}\n')
        script.flush()
        table.row(f"cached speech, {len(data) >> 10} KB, one core", "sonant", **run_wrk(server.url + "/tts/synthesize", script.name))


def bench_uploads(args, table):
    samples, rate = read_samples(args.clip)
    big = array.array("h", samples)
    while len(big) < 1536 << 10:
        big += samples
    with Server(args) as server:
        url = server.url + "/stt/transcribe"
        for name, clip in (("3 MB upload, cached", big), ("chunked upload, cached", samples)):
            body, headers = multipart(wav_of(clip, rate), {"model": args.model, "beam_size": 1})
            chunked = (lambda b=body: (b[i:i + 16384] for i in range(0, len(b), 16384))) if "chunked" in name else (lambda b=body: b)
            request(url, "POST", body, headers)
            times = []
            for _ in range(50):
                start = time.perf_counter()
                _, _, reply = request(url, "POST", chunked(), headers)
                times.append(time.perf_counter() - start)
            table.row(f"{name} ({len(body) >> 10} KB)", "sonant", p50=statistics.median(times), p95=percentile(times, 0.95), cache=reply.get("X-Cache", "?"))


def socket_url(server, path):
    return f"ws://{server.host}:{server.port}{path}"


async def open_socket(server, path, **start):
    import websockets
    ws = await websockets.connect(socket_url(server, path), max_size=None, ping_interval=None, compression=None)
    await ws.send(json.dumps({"type": "start", **start}))
    while json.loads(await ws.recv())["type"] != "ready":
        pass
    return ws


def bench_idle(args, table, count=1000):
    async def run(server):
        warm = [await open_socket(server, "/stt/stream", model=args.model) for _ in range(10)]
        before, sockets = server.resident(), []
        for _ in range(count):
            sockets.append(await open_socket(server, "/stt/stream", model=args.model))
        await asyncio.sleep(1)
        each = (server.resident() - before) / count
        [await ws.close() for ws in warm + sockets]
        return each

    resource.setrlimit(resource.RLIMIT_NOFILE, (8192, max(8192, resource.getrlimit(resource.RLIMIT_NOFILE)[1])))
    with Server(args, max_sockets=2000, max_connections=4000, rate=0, key_sessions=0) as server:
        table.row(f"{count} idle sockets, KB each", "sonant", each=asyncio.run(run(server)) / 1024)


def bench_live(args, table, streams=8):
    samples, rate = read_samples(args.clip)
    latencies, texts = [], []

    async def stream(server, index):
        ws = await open_socket(server, "/stt/stream", model=args.model, language="en", format="pcm16", sample_rate=rate, partial_interval=1000)
        written, text = [], []

        async def feed():
            data, begun = unlike(samples, index).tobytes(), time.perf_counter()
            for at in range(0, len(data), rate // 25):  # 20 ms
                await ws.send(data[at:at + rate // 25])
                written.append((min(at + rate // 25, len(data)) / 2 / rate, time.perf_counter()))
                await asyncio.sleep(max(0, begun + written[-1][0] - time.perf_counter()))
            await ws.send(json.dumps({"type": "finish"}))

        feeding = asyncio.create_task(feed())
        async for message in ws:
            event, now = json.loads(message), time.perf_counter()
            if event["type"] == "partial":
                latencies.append(now - next((t for end, t in written if end >= event["position"] - 1e-6), now))
            if event["type"] == "segment":
                text.append(event["text"])
            if event["type"] in ("done", "error"):
                texts.append("".join(text) or message)
                break
        await feeding
        await ws.close()

    async def run(server):
        await asyncio.gather(*(later(server, i) for i in range(streams)))

    async def later(server, index):
        await asyncio.sleep(index / streams)
        await stream(server, index)

    with Server(args, result_cache=0, audio_cache=0, rate=0, key_sessions=0) as server:
        for _ in range(3):
            asyncio.run(run(server))
    if not latencies:
        return print("live: no partials came; the texts were", texts)
    good = sum("country" in text.lower() for text in texts)
    table.row(f"{streams} live streams, partials each second", "sonant", p50=statistics.median(latencies), p95=percentile(latencies, 0.95), partials=len(latencies),
              whole_texts=f"{good}/{len(texts)}")


def bench_start(args, table):
    times = []
    for _ in range(10):
        with Server(args) as server:
            times.append(server.ready)
    table.row("cold start to ready", "sonant", p50=statistics.median(times), worst=max(times))


def main():
    args = parse()
    table, wanted = Table(args.json), args.only.split(",")
    for part in PARTS:
        if part in wanted:
            globals()["bench_" + part](args, table)


if __name__ == "__main__":
    main()
