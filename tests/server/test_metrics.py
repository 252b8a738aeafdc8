"""GET /metrics is what Prometheus reads, strictly; /audio/metrics says the same; requests, times and bytes are counted right; the files
under ops/ name only what is exported."""
import json
import math
import re
import time

import pytest

from conftest import JFK, PATIENCE, SOURCE, needs_model
from schema_check import check_reply

NAME = r"[a-zA-Z_:][a-zA-Z0-9_:]*"
LABEL = r'([a-zA-Z_][a-zA-Z0-9_]*)="((?:[^"\\\n]|\\["\\n])*)"'
SAMPLE = re.compile(rf"({NAME})(?:\{{((?:{LABEL})(?:,{LABEL})*)\}})? (\S+)")


def parse(text):
    """{family: (type, {(sample name, labels): value})}; fails on anything that the text format 0.0.4 does not allow."""
    assert text.endswith("\n") and "\r" not in text
    families, name = {}, None
    for line in text[:-1].split("\n"):
        if line.startswith("# HELP "):
            name, help_text = re.fullmatch(rf"# HELP ({NAME}) (.+)", line).groups()
            assert name not in families and help_text == help_text.strip(), line
            families[name] = (None, {})
        elif line.startswith("# TYPE "):
            typed, kind = re.fullmatch(rf"# TYPE ({NAME}) (counter|gauge|histogram)", line).groups()
            assert typed == name and families[name] == (None, {}), line
            families[name] = (kind, {})
        else:
            found = SAMPLE.fullmatch(line)
            assert found, "no sample: " + line
            kind, samples = families[name]
            suffixes = ("_bucket", "_sum", "_count") if kind == "histogram" else ("",)
            assert found[1] in [name + s for s in suffixes], f"{line} stands under {name}"
            labels = tuple(sorted(re.findall(LABEL, found[2] or "")))
            assert len({k for k, _ in labels}) == len(labels) and (found[1], labels) not in samples, line
            value = float(found[7])
            assert not math.isnan(value) and (kind == "gauge" or value >= 0), line
            samples[found[1], labels] = value
    for name, (kind, samples) in families.items():
        assert kind and name.startswith("sonant_"), name
        if kind == "counter":
            assert name.endswith("_total"), name
        if kind == "histogram":
            check_histogram(name, samples)
    return families


def check_histogram(name, samples):
    series = {}
    for (sample, labels), value in samples.items():
        if sample == name + "_bucket":
            rest = tuple(l for l in labels if l[0] != "le")
            series.setdefault(rest, []).append((float(dict(labels)["le"]), value))
    for labels, buckets in series.items():
        assert buckets == sorted(buckets) and buckets[-1][0] == math.inf, (name, labels)
        assert [n for _, n in buckets] == sorted(n for _, n in buckets), (name, labels)
        assert buckets[-1][1] == samples[name + "_count", labels] and (name + "_sum", labels) in samples


def scrape(server):
    """A request is counted when its last byte has gone, a moment after the client has it."""
    time.sleep(0.2 * PATIENCE)
    reply = server.get("/metrics")
    assert reply.status == 200 and reply.headers["content-type"] == "text/plain; version=0.0.4; charset=utf-8"
    return parse(reply.text)


def value(families, name, sample=None, **labels):
    return families[name][1].get((sample or name, tuple(sorted(labels.items()))), 0)


@pytest.fixture(scope="module")
def quiet(serve):
    return serve(preload="none")


def test_every_line_is_strict_and_of_a_family(quiet):
    families = scrape(quiet)
    for name in ("requests_total", "request_seconds", "queue_seconds", "first_audio_seconds", "first_text_seconds", "final_text_seconds",
                 "partial_seconds", "stt_realtime_factor", "tts_realtime_factor", "quality_score", "confidence", "retries_total",
                 "guards_total", "cache_hits_total", "cache_misses_total", "engine_steps_total", "engine_rows_total",
                 "engine_seconds_total", "process_resident_bytes", "heap_bytes", "connections", "process_open_fds", "job_items",
                 "model_loads_total", "model_state", "process_start_time_seconds", "sockets"):
        assert "sonant_" + name in families, name
    assert abs(value(families, "sonant_process_start_time_seconds") - time.time()) < 600
    assert value(families, "sonant_process_resident_bytes") > 1e6 and value(families, "sonant_process_open_fds") >= 5
    stages = {dict(labels)["stage"] for _, labels in families["sonant_engine_steps_total"][1]}
    assert {"encode", "decode", "speak", "vocode"} <= stages


def test_requests_are_counted_by_route_and_status(quiet):
    before = scrape(quiet)
    for _ in range(3):
        quiet.get("/health/live")
    quiet.get("/audio/usage?days=none")
    quiet.get("/no/such/thing/4711")
    quiet.delete("/audio/health")
    after = scrape(quiet)

    def grown(**labels):
        return value(after, "sonant_requests_total", **labels) - value(before, "sonant_requests_total", **labels)

    assert grown(method="GET", route="/health/live", status="200") == 3
    assert grown(method="GET", route="/audio/usage", status="400") == 1
    assert grown(method="other", route="other", status="404") == 1 and grown(method="other", route="other", status="405") == 1
    count = [value(f, "sonant_request_seconds", "sonant_request_seconds_count", method="GET", route="/health/live") for f in (before, after)]
    assert count[1] - count[0] == 3


def test_a_client_cannot_make_new_series(quiet):
    quiet.get("/health/live")
    for i in range(20):
        quiet.get(f"/made/up/{i}")
        quiet.request("GET", f"/audio/usage?days={i + 1}", headers={"X-Request-Id": f"mine-{i}"})
        quiet.request(f"BREW{i}", "/health/live")
    lines = len(quiet.get("/metrics").text.splitlines())
    for i in range(20, 60):
        quiet.get(f"/made/up/{i}")
        quiet.request("GET", f"/audio/usage?days={i + 1}")
        quiet.request(f"BREW{i}", "/health/live")
    text = quiet.get("/metrics").text
    assert len(text.splitlines()) == lines
    assert "/made" not in text and "BREW" not in text and "mine-" not in text


def test_json_says_the_same(quiet):
    families = scrape(quiet)
    told = check_reply(quiet, "GET", "/audio/metrics", quiet.get("/audio/metrics"))["metrics"]
    assert set(told) == set(families)
    for name, (kind, samples) in families.items():
        assert told[name]["type"] == kind
        if kind != "histogram":
            assert {tuple(sorted(s["labels"].items())) for s in told[name]["samples"]} == {labels for _, labels in samples}, name
    live = [s for s in told["sonant_request_seconds"]["samples"] if s["labels"]["route"] == "/health/live"]
    assert live[0]["count"] >= 1 and live[0]["buckets"][-1][1] == live[0]["count"] and 0 <= live[0]["p50"] <= live[0]["p95"] <= live[0]["p99"]


@needs_model("whisper-base")
def test_a_transcription_is_measured(server):
    server.wait_ready()
    before = scrape(server)
    reply = server.post("/stt/transcribe", form={"file": ("jfk.wav", JFK), "beam_size": 1})
    assert reply.status == 200
    after = scrape(server)

    def grown(name, sample=None, **labels):
        return value(after, name, sample, **labels) - value(before, name, sample, **labels)

    assert grown("sonant_audio_seconds_total") == pytest.approx(11, abs=0.01)
    for name in ("sonant_stt_realtime_factor", "sonant_confidence", "sonant_final_text_seconds", "sonant_first_text_seconds", "sonant_queue_seconds"):
        assert grown(name, name + "_count") == 1, name
    assert 0.5 < grown("sonant_confidence", "sonant_confidence_sum") <= 1
    assert grown("sonant_engine_steps_total", stage="encode") >= 1 and grown("sonant_engine_steps_total", stage="decode") >= 10
    assert grown("sonant_engine_rows_total", stage="decode") >= grown("sonant_engine_steps_total", stage="decode")
    assert grown("sonant_engine_seconds_total", stage="encode") > 0
    assert grown("sonant_request_bytes_total") > len(JFK) and grown("sonant_reply_bytes_total") >= len(reply.body)
    model = reply.json["model"]
    assert value(after, "sonant_model_state", model=model, task="transcribe", state="ready") == 1
    assert value(after, "sonant_model_memory_bytes", model=model) > 1e6
    server.post("/stt/transcribe", form={"file": ("jfk.wav", JFK), "beam_size": 1})
    again = scrape(server)
    assert value(again, "sonant_cache_hits_total", cache="result") - value(after, "sonant_cache_hits_total", cache="result") == 1
    assert value(again, "sonant_result_hits_total") - value(after, "sonant_result_hits_total") == 1
    for name in ("sonant_stt_realtime_factor", "sonant_confidence"):
        assert value(again, name, name + "_count") == value(after, name, name + "_count"), "what the cache gave was not made again"


def test_scraping_takes_little(quiet):
    times = []
    for _ in range(10):
        begin = time.monotonic()
        quiet.get("/metrics")
        times.append(time.monotonic() - begin)
    assert sorted(times)[5] < 0.1 * PATIENCE


# ---- ops/ ----

def exported(server):
    families = scrape(server)
    names = set(families) | {n + s for n, (kind, _) in families.items() if kind == "histogram" for s in ("_bucket", "_sum", "_count")}
    return names, {name: {k for _, labels in samples for k, _ in labels} for name, (_, samples) in families.items()}


def check_expressions(server, expressions):
    names, _ = exported(server)
    assert expressions
    for expression in expressions:
        used = set(re.findall(r"\bsonant_[a-z0-9_]+", expression))
        assert used or "up{" in expression, expression
        assert used <= names, f"{sorted(used - names)} is not exported: {expression}"
        for left, right in ("()", "{}", "[]"):
            assert expression.count(left) == expression.count(right), expression


def test_alerts_name_what_is_exported(server):
    yaml = pytest.importorskip("yaml")
    rules = yaml.safe_load((SOURCE / "ops/prometheus.rules.yml").read_text())
    alerts = [rule for group in rules["groups"] for rule in group["rules"]]
    assert {"SonantDown", "SonantNotReady", "SonantErrors", "SonantSlow", "SonantQueue", "SonantDisk", "SonantMemoryGrows",
            "SonantJobFailures"} <= {a["alert"] for a in alerts}
    assert all(a["labels"]["severity"] and a["annotations"]["summary"] for a in alerts)
    check_expressions(server, [a["expr"] for a in alerts])
    example = yaml.safe_load((SOURCE / "ops/prometheus.yml").read_text())
    assert example["rule_files"] == ["prometheus.rules.yml"] and example["scrape_configs"][0]["metrics_path"] == "/metrics"


def test_the_dashboard_names_what_is_exported(server):
    dashboard = json.loads((SOURCE / "ops/grafana.json").read_text())
    panels = [p for p in dashboard["panels"] if p["type"] != "row"]
    assert dashboard["uid"] and dashboard["schemaVersion"] >= 36 and len({p["id"] for p in dashboard["panels"]}) == len(dashboard["panels"])
    for panel in panels:
        assert {"x", "y", "w", "h"} <= set(panel["gridPos"]) and panel["gridPos"]["x"] + panel["gridPos"]["w"] <= 24
    for a in panels:
        for b in panels:
            g, h = a["gridPos"], b["gridPos"]
            assert a is b or g["x"] + g["w"] <= h["x"] or h["x"] + h["w"] <= g["x"] or g["y"] + g["h"] <= h["y"] or h["y"] + h["h"] <= g["y"], (a["title"], b["title"])
    check_expressions(server, [t["expr"] for p in panels for t in p["targets"]])
