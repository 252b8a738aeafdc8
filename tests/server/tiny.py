"""A home whose models are tiny checkpoints: an item of a job takes milliseconds, and nothing needs to be installed."""
import io
import shutil
import struct
import time
import wave

from conftest import SOURCE

VOICE, LISTENER = "tiny-voice", "tiny-listener"
SPEAK = {"model": VOICE, "check": False, "quality": False, "seed": 1}
OPTIONS = {"preload": "none", "models_speak": VOICE, "models_transcribe": LISTENER, "access_log": "none"}


def tiny_home(path):
    for name, source in ((VOICE, "vits-sdp"), (LISTENER, "wav2vec2-base")):
        shutil.copytree(SOURCE / "tests/fixtures/tiny" / source, path / "models" / name)
    return path


def clip(number, seconds=0.5, rate=16000):
    """A WAV that no other number has."""
    out = io.BytesIO()
    with wave.open(out, "wb") as w:
        w.setnchannels(1), w.setsampwidth(2), w.setframerate(rate)
        count = int(seconds * rate)
        w.writeframes(struct.pack(f"<{count}h", *((i * (37 + number) * 7919 >> 3) % 20011 - 10005 for i in range(count))))
    return out.getvalue()


def wait_for(server, job, states=("done", "cancelled"), seconds=120):
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        now = server.get("/jobs/" + job).json
        if now["state"] in states:
            return now
        time.sleep(0.02)
    raise AssertionError(f"the job is still {now}")
