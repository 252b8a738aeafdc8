"""The bank of voices: listed, added from clips and files, spoken with, removed."""
import io
import json
import random
import shutil
import struct
import wave

import pytest
from conftest import SOURCE
from schema_check import check_reply
from speech_home import make_speech_home

PATH = "/tts/voices"


@pytest.fixture(scope="module")
def server(serve, tmp_path_factory):
    home = make_speech_home(tmp_path_factory.mktemp("voices") / "home")
    shutil.copytree(SOURCE / "tests/fixtures/tiny/vits-authors", home / "models/tiny-names")
    return serve(home=home, preload="none", models_speak="tiny-vits")


def clip(seed, seconds=2, rate=16000):
    """A buzz whose pitch and colour depend on the seed."""
    draw = random.Random(seed)
    period, soft, last, samples = draw.randint(50, 200), draw.random(), 0.0, []
    for i in range(int(seconds * rate)):
        last = soft * last + (1 - soft) * (draw.uniform(-0.2, 0.2) + (0.8 if i % period < period // 4 else -0.2))
        samples.append(int(20000 * last))
    out = io.BytesIO()
    with wave.open(out, "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(rate)
        file.writeframes(struct.pack(f"<{len(samples)}h", *samples))
    return out.getvalue()


def npy(values):
    header = "{'descr': '<f4', 'fortran_order': False, 'shape': (%d,), }" % len(values)
    return b"\x93NUMPY\x01\x00\x76\x00" + header.ljust(117).encode() + b"\n" + struct.pack(f"<{len(values)}f", *values)


def add(server, name, data=None, file="clip.wav", **fields):
    return server.post(PATH, form={"name": name, **({"file": (file, data)} if data else {}), **fields})


def names(server, model=None):
    reply = server.get(PATH + (f"?model={model}" if model else ""))
    return [v["name"] for v in check_reply(server, "GET", PATH, reply)["voices"] if v["in_bank"] or model]


def speak(server, voice, **params):
    reply = server.post("/tts/synthesize", json_body={"text": "Who is speaking now?", "model": "tiny-yourtts", "voice": voice, **params},
                        headers={"Accept": "audio/*"})
    assert reply.status == 200, reply.text
    return reply


def test_speakers_are_chosen_by_name(server):
    assert [v for v in names(server, "tiny-names") if v.startswith("p2")] == ["p225", "p226", "p227", "p228"]
    wish = {"text": "Who is speaking now?", "model": "tiny-names", "seed": 3}
    spoken = [server.post("/tts/synthesize", json_body={**wish, "voice": voice}, headers={"Accept": "audio/*"}) for voice in ("p227", "2", "p226")]
    assert [s.status for s in spoken] == [200] * 3
    assert spoken[0].body == spoken[1].body != spoken[2].body
    refused = server.post("/tts/synthesize", json_body={**wish, "voice": "p999"})
    assert refused.status == 404 and '"p225", "p226", "p227", "p228"' in refused.json["detail"], refused.text


def test_a_model_tells_its_speakers(server):
    voices = server.get(PATH + "?model=tiny-vits").json["voices"]
    assert [v["kind"] for v in voices if not v["in_bank"]] == ["speaker"] * sum(not v["in_bank"] for v in voices) and len(voices) >= 2
    assert server.get(PATH + "?model=no-such-model").status == 404
    assert server.get(PATH).status == 200


def test_a_clip_becomes_a_voice_that_speaks(server):
    reply = add(server, "anna", clip(1), model="tiny-yourtts", language="de", licence="CC0-1.0", source='a "friend"')
    voice = check_reply(server, "POST", PATH, reply)
    assert reply.status == 201 and voice["kind"] == "embedding" and voice["model"] and voice["embedding"] == 24
    assert (voice["language"], voice["licence"], voice["source"]) == ("de", "CC0-1.0", 'a "friend"')
    add(server, "bert", clip(2), model="tiny-yourtts")
    assert {"anna", "bert"} <= set(names(server))
    assert len({speak(server, v).body for v in ("default", "anna", "bert")}) == 3
    assert speak(server, "anna").headers["x-voice"] == "anna"
    for name in ("anna", "bert"):
        assert server.delete(f"{PATH}/{name}").status == 204
    assert not {"anna", "bert"} & set(names(server))
    assert server.delete(f"{PATH}/anna").status == 404


def test_a_clip_without_a_model_is_kept_as_it_is(server):
    assert add(server, "carl", clip(3), file="../../../etc/carl.npz").json["kind"] == "clip"
    assert add(server, "dora", clip(3), model="tiny-yourtts").json["kind"] == "embedding"
    assert speak(server, "carl").body == speak(server, "dora").body
    for name in ("carl", "dora"):
        assert server.delete(f"{PATH}/{name}").status == 204


def test_a_replaced_voice_is_not_heard_from_a_cache(server):
    ssml = '<speak>Who is it? <voice name="eve">It is me.</voice></speak>'
    heard = []
    for seed in (4, 5):
        assert add(server, "eve", clip(seed), model="tiny-yourtts").status == 201
        heard.append((speak(server, "eve").body, speak(server, "default", text=ssml).body))
        assert speak(server, "eve").headers["x-cache"] == "hit" and speak(server, "eve").body == heard[-1][0]
        assert server.delete(f"{PATH}/eve").status == 204
    assert heard[0][0] != heard[1][0] and heard[0][1] != heard[1][1]
    assert server.post("/tts/synthesize", json_body={"text": "Who is speaking now?", "model": "tiny-yourtts", "voice": "eve"}).status == 404


def test_embeddings_and_speakers(server):
    values = [random.Random(6).uniform(-0.3, 0.3) for _ in range(24)]
    assert add(server, "fred", npy(values), file="fred.npy", model="tiny-yourtts").json["kind"] == "embedding"
    assert speak(server, "fred").status == 200
    assert add(server, "gina", model="tiny-vits", speaker="1").json["kind"] == "speaker"
    one, other = (server.post("/tts/synthesize", json_body={"text": "Me?", "voice": v}, headers={"Accept": "audio/*"}).body for v in ("gina", "1"))
    assert one == other
    for name in ("fred", "gina"):
        assert server.delete(f"{PATH}/{name}").status == 204


def test_what_is_no_voice_is_refused_and_leaves_nothing(server):
    before = names(server)
    for name in ("", ".", "..", "../x", "a/b", ".hidden", "a b", "ä", "12", "default", "x" * 64):
        assert add(server, name, clip(1)).status in (400, 413), name
    for data, fields, status in [(b"this is no audio", {}, 422), (clip(1, 0.5), {}, 400), (npy([0.5] * 7), {"model": "tiny-yourtts"}, 400),
                                 (b"\x93NUMPY broken", {}, 422), (b"PK\x03\x04 broken", {}, 422), (clip(1), {"model": "tiny-vits"}, 422),
                                 (clip(1), {"model": "no-such-model"}, 404), (clip(1), {"model": "/etc"}, 404),
                                 (clip(1), {"licence": "x" * 300}, 413), (clip(1), {"colour": "red"}, 400), (None, {}, 400),
                                 (clip(1), {"speaker": "1", "model": "tiny-vits"}, 400)]:
        reply = add(server, "hans", data, **fields)
        assert reply.status == status, (status, fields, reply.text)
        assert "/tmp" not in reply.text and "sonant-voice" not in reply.text
    assert add(server, "hans", clip(1)).status == 201
    assert "hans" in add(server, "hans", clip(1)).json["detail"]
    assert server.delete(f"{PATH}/hans").status == 204
    assert names(server) == before
    assert server.delete(PATH + "/..%2fx").status in (400, 404)


def test_no_upload_is_left_behind(serve, tmp_path_factory):
    place = tmp_path_factory.mktemp("spool")
    server = serve(home=make_speech_home(tmp_path_factory.mktemp("left") / "home"), preload="none", environment={"TMPDIR": str(place)})
    assert add(server, "ida", clip(1)).status == 201
    assert add(server, "ida", clip(1)).status == 400
    assert add(server, "ines", b"no audio").status == 422
    assert list(place.iterdir()) == []
