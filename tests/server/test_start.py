"""The server starts, says what it is, and ends when it is told to."""
import urllib.parse

from conftest import JFK, JFK_TEXT, needs_model, words


def test_it_lives(server):
    assert server.get("/health/live").text == "ok\n"


def test_the_document_is_served(server):
    document = server.get("/openapi.json").json
    assert document["openapi"].startswith("3.1")
    assert "/stt/transcribe" in document["paths"]


def test_an_unknown_path_is_a_problem_with_an_id(server):
    reply = server.get("/nothing/here", headers={"X-Request-Id": "mine-1"})
    assert reply.status == 404 and reply.headers["content-type"] == "application/problem+json"
    assert reply.headers["x-request-id"] == "mine-1" == reply.json["request_id"]
    assert "/nothing/here" in reply.json["detail"]


def test_what_is_refused_is_named_whatever_bytes_it_has(server):
    long = "a" + "\u00e4" * 60  # cut in a message, and there between the bytes of a letter
    for reply, status, field in ((server.get("/audio/models?%ff=1"), 400, None), (server.post("/audio/models/load", json_body={"model": long}), 404, "model"),
                                 (server.post("/audio/models/load", json_body={"model": "x", long: 1}), 400, "a\u00e4")):
        assert reply.status == status == reply.json["status"] and len(reply.json["detail"]) > 20 and reply.json["request_id"]
        assert not field or reply.json["field"].startswith(field)
    reply = server.get("/v1/models/" + urllib.parse.quote(long))
    assert reply.status == 404 and "there is no model" in reply.json["error"]["message"]


@needs_model("whisper-base")
def test_speech_becomes_text(server):
    reply = server.post("/stt/transcribe", form={"file": ("jfk.wav", JFK)})
    assert reply.status == 200 and words(reply.json["text"]) == JFK_TEXT


def test_a_term_signal_ends_it(serve):
    assert serve(preload="none").stop() == 0
