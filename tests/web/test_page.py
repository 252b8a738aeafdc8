"""The page in a real browser: what a user sees, with mouse, keyboard and screen reader. Pictures go to web-shots in the build directory."""
import re
import subprocess
import time

import pytest

import browser as web
from browser import Keys
from conftest import JFK_TEXT, SONANT, make_home, needs_model, serve, server, words  # noqa: F401 (fixtures among them)

SENTENCE = "The birch canoe slid on the smooth planks."
SECTIONS = ["transcribe", "speak", "analyse", "models", "metrics"]


@pytest.fixture(scope="module")
def browser():
    if web.MISSING:
        pytest.skip("not installed: " + ", ".join(web.MISSING))
    with web.browser() as b:
        yield b


def transcribe(b):
    b.one("#stt-file").send_keys(web.JFK_FILE)
    b.until(lambda: b.all("#stt-text button.w"))


def speak(b, text=SENTENCE):
    b.one("#tts-text").send_keys(text)
    b.click("#tts-speak")
    b.until(lambda: b.shown("#tts-facts"))


def analyse(b):
    b.one("#ana-file").send_keys(web.JFK_FILE)
    b.until(lambda: b.shown("#ana-tiles"))


# ---- how it is served

def test_it_is_served_with_a_strict_policy(server):
    reply = server.get("/")
    policy = reply.headers["content-security-policy"]
    assert reply.status == 200 and reply.headers["content-type"] == "text/html; charset=utf-8"
    assert "default-src 'self'" in policy and "unsafe" not in policy and "http" not in policy and "frame-ancestors 'none'" in policy
    assert reply.headers["x-frame-options"] == "DENY" and reply.headers["x-content-type-options"] == "nosniff"
    assert not re.search(r"<script>|\son\w+=|style=|https?://", reply.text)


def test_every_file_that_it_names_is_there(server):
    named = lambda text: set(re.findall(r'"page/([\w.]+)"|from "\./([\w.]+)"', text))
    wanted, types = {a or b for a, b in named(server.get("/").text)}, {}
    while wanted - types.keys():
        name = min(wanted - types.keys())
        reply = server.get("/page/" + name)
        assert reply.status == 200, name
        types[name] = reply.headers["content-type"]
        wanted |= {a or b for a, b in named(reply.text)}
    assert {"page.css", "app.js", "transcribe.js", "worklet.js", "mark.svg"} <= types.keys()
    assert types["page.css"].startswith("text/css") and all(t.startswith("text/javascript") for n, t in types.items() if n.endswith(".js"))


def test_what_a_browser_has_is_not_sent_again(server):
    tag = server.get("/page/app.js").headers["etag"]
    again = server.get("/page/app.js", headers={"If-None-Match": f'"other", {tag}'})
    assert again.status == 304 and not again.body and again.headers["etag"] == tag
    assert server.get("/page/app.js", headers={"If-None-Match": '"other"'}).status == 200


@pytest.mark.parametrize("name", ["nothing.js", "..%2f..%2fetc%2fpasswd", "index.html%00", "../openapi.json"])
def test_no_other_file_can_be_reached(server, name):
    assert server.get("/page/" + name).status in (400, 404)


def test_it_can_be_switched_off(serve):
    off = serve(page="off", preload="none")
    assert off.get("/").status == 404 and off.get("/page/app.js").status == 404 and off.get("/health/live").status == 200


# ---- what a user does

def test_it_asks_no_other_host_and_logs_no_error(server, browser):
    browser.open(server)
    for section in SECTIONS:
        browser.go(section)
        time.sleep(0.3)
    addresses = browser.requested()
    assert len(addresses) > 10
    assert [a for a in addresses if not a.startswith((server.url, server.url.replace("http", "ws"), "blob:", "data:"))] == []
    assert browser.errors() == []


@needs_model("whisper-base")
def test_a_file_becomes_words_that_can_be_pressed(server, browser):
    browser.open(server)
    transcribe(browser)
    assert words(browser.text("#stt-text")) == JFK_TEXT
    buttons = browser.all("#stt-text button.w")
    assert len(buttons) == 22
    assert re.fullmatch(r"And, at 0\.\d seconds, \d+ % sure", buttons[0].get_attribute("aria-label"))
    assert "English" in browser.text("#stt-facts") and "whisper-base" in browser.text("#stt-facts")
    browser.until(lambda: browser.shown("#stt-player"))
    at = float(buttons[10].get_attribute("data-at"))
    buttons[10].click()
    browser.until(lambda: at <= browser.script("return document.querySelector('#stt-player audio').currentTime") < at + 3)
    browser.until(lambda: browser.all("#stt-text .w.now"))
    browser.click("#stt-player .play")
    browser.shot("transcribe")
    assert browser.errors() == []


@needs_model("whisper-base")
@pytest.mark.parametrize("kind, looks", [("txt", r"^And so"), ("srt", r"^1\n00:00:0\d,\d{3} --> 00:00:\d\d,\d{3}\nAnd so"),
                                         ("vtt", r"^WEBVTT\n\n00:00:0\d\.\d{3} --> 00:00:"), ("json", r'^\{\s+"success": true')])
def test_the_transcript_can_be_kept(server, browser, tmp_path, kind, looks):
    browser.command("Browser.setDownloadBehavior", behavior="allow", downloadPath=str(tmp_path))
    browser.open(server)
    transcribe(browser)
    browser.click(f"#stt-downloads [aria-label='Download as {kind}']")
    kept = tmp_path / f"jfk.{kind}"
    browser.until(lambda: kept.exists() and kept.stat().st_size)  # the browser makes the file before it writes to it
    assert re.search(looks, kept.read_text())
    if kind in ("srt", "vtt"):
        assert max(map(len, kept.read_text().splitlines())) <= 42


@needs_model("whisper-tiny.en", "silero-vad")
def test_captions_come_while_the_microphone_hears(server, browser):
    browser.open(server)
    browser.until(lambda: browser.all("#stt-model option[value='openai/whisper-tiny.en']"))
    browser.click("#stt-model option[value='openai/whisper-tiny.en']")
    browser.click("#stt-record")
    browser.until(lambda: browser.text("#stt-text .partial") if browser.all("#stt-text .partial") else "")
    browser.until(lambda: "americans" in words(browser.text("#stt-text")) and browser.all("#stt-text span.w"))
    assert browser.one("#stt-record").text == "Stop" and float(browser.script("return document.querySelector('#stt-level').ariaValueNow")) >= 0
    browser.shot("live")
    browser.until(lambda: browser.text("#stt-clock") >= "0:12")
    browser.click("#stt-record")
    browser.until(lambda: browser.all("#stt-text button.w"))
    said = words(browser.text("#stt-text"))
    assert "fellow americans" in said and "your country" in said
    assert "americans" in words(browser.text("#stt-live")) # what a screen reader was told
    browser.until(lambda: (browser.script("return document.querySelector('#stt-player audio').duration") or 0) > 11)
    assert browser.errors() == []


@needs_model("joe")
def test_a_sentence_is_spoken(server, browser):
    browser.open(server, "speak")
    assert not browser.one("#tts-speak").is_enabled()
    speak(browser)
    duration = browser.until(lambda: browser.script("return document.querySelector('#tts-player audio').duration"))
    assert 1.5 < duration < 6
    assert "First audio after" in browser.text("#tts-facts") and "joe" in browser.text("#tts-facts")
    browser.until(lambda: not browser.shown("#tts-stop"))
    browser.shot("speak")
    assert browser.errors() == []


@needs_model("joe")
def test_speed_is_heard(server, browser):
    browser.open(server, "speak")
    speak(browser)
    browser.click("#tts-stop") if browser.shown("#tts-stop") else None
    duration = lambda: browser.script("return document.querySelector('#tts-player audio').duration") or 0
    normal = browser.until(duration)
    browser.script("const s = document.getElementById('tts-speed'); s.value = 2; s.dispatchEvent(new Event('input'))")
    assert browser.text("#tts-speed-out") == "2.00×"
    browser.click("#tts-speak")
    browser.until(lambda: 0 < duration() < 0.75 * normal)


def test_a_voice_is_added_and_removed(server, browser):
    browser.open(server, "speak")
    browser.one("#clone-name").send_keys("kennedy")
    assert not browser.one("#clone-add").is_enabled()
    browser.one("#clone-file").send_keys(web.JFK_FILE)
    browser.click("#clone-add")
    browser.until(lambda: "kennedy" in browser.text("#bank"))
    assert browser.script("return document.querySelector('#tts-voice').value") == "kennedy"
    browser.click("#bank [aria-label='Remove the voice kennedy']")
    browser.driver.switch_to.alert.accept()
    browser.until(lambda: "kennedy" not in browser.text("#bank"))


def test_a_clip_is_measured(server, browser):
    browser.open(server, "analyse")
    analyse(browser)
    tiles = browser.text("#ana-tiles")
    assert "−15.4 LUFS" in tiles and "11.0 s" in tiles and "16 kHz, mono" in tiles
    assert len(browser.all("#ana-bands [role=meter]")) == 8
    drawn = browser.script("""const c = document.querySelector('#ana-player .mel'), d = c.getContext('2d').getImageData(0, 0, c.width, c.height).data;
        return new Set(Array.from({ length: 2000 }, (_, i) => d[i * 4 * Math.floor(d.length / 8000)])).size""")
    assert drawn > 20 # shades
    browser.shot("analyse")
    assert browser.errors() == []


@needs_model("dnsmos")
def test_a_clip_is_rated(server, browser):
    browser.open(server, "analyse")
    analyse(browser)
    browser.until(lambda: "Background" in browser.text("#ana-quality"))
    assert re.fullmatch(r"2\.\d of 5", browser.text("#ana-score"))


@needs_model("deepfilternet3")
def test_a_clip_is_enhanced_and_compared(server, browser):
    browser.open(server, "analyse")
    analyse(browser)
    browser.click("#enh-run")
    browser.until(lambda: browser.shown("#enh-player .play"))
    source = "return document.querySelector('#enh-player audio').src"
    after = browser.script(source)
    browser.click("[name=enh-side][value=before]")
    assert browser.script(source) != after
    browser.shot("enhance")


def test_what_is_not_wished_is_not_done_to_a_clip(server, browser):
    browser.open(server, "analyse")
    browser.script("window.shown = []; const url = URL.createObjectURL; URL.createObjectURL = blob => { window.shown.push(blob); return url(blob); };")
    analyse(browser)
    for box in ("denoise", "declip", "loudness"):
        browser.script(f"document.getElementById('enh-{box}').checked = false")
    browser.click("#enh-run")
    browser.until(lambda: browser.shown("#enh-player .play"))
    before, after = browser.script("""
        return Promise.all([window.shown[0], window.shown.at(-1)].map(async blob => {
            const sound = await new OfflineAudioContext(1, 1, 16000).decodeAudioData(await blob.arrayBuffer());
            return sound.getChannelData(0).reduce((sum, x) => sum + x * x, 0);
        }));""")
    assert before > 0 and after == pytest.approx(before, rel=1e-3)


@needs_model("whisper-base", "whisper-tiny.en")
def test_models_are_listed_loaded_and_unloaded(server, browser):
    browser.open(server, "models")
    row = "//tr[th[contains(., 'whisper-tiny.en')]]"
    line = lambda: browser.script("return document.evaluate(arguments[0], document, null, 9).singleNodeValue?.textContent", row) or ""
    browser.until(lambda: "whisper-base" in browser.text("#mod-table") and line())
    if "Ready" in line():
        browser.click("[aria-label='Unload: whisper-tiny.en']")
    browser.until(lambda: "On disk" in line())
    browser.click("[aria-label='Load: whisper-tiny.en']")
    browser.until(lambda: "Ready" in line() and "in memory" in line())
    browser.shot("models")
    browser.click("[aria-label='Unload: whisper-tiny.en']")
    browser.until(lambda: "On disk" in line())
    assert browser.errors() == []


def test_metrics_move(server, browser):
    browser.open(server, "metrics")
    label = lambda title: browser.script("return [...document.querySelectorAll('.chart')].map(c => c.ariaLabel).find(l => l?.startsWith(arguments[0])) ?? ''", title)
    memory = "const c = document.querySelectorAll('.chart')[6], d = c.getContext('2d').getImageData(0, 0, c.width, c.height).data; return d.filter((v, i) => i % 4 === 3 && v > 0).length"
    browser.until(lambda: " MB" in label("Memory") or " GB" in label("Memory"))
    few = browser.script(memory)
    server.post("/stt/transcribe", form={"file": ("x.wav", b"no audio")})
    browser.until(lambda: re.match(r"Requests: (0\.[1-9]|[1-9])", label("Requests")))
    browser.until(lambda: browser.script(memory) > few)
    assert time.strftime("%Y-", time.gmtime()) in browser.text("#usage-table") or "Nothing was counted" in browser.text("#usage-table")
    browser.shot("metrics")
    assert browser.errors() == []


# ---- what goes wrong

@needs_model("whisper-base")
def test_a_problem_is_told_in_words_with_its_id(server, browser, tmp_path):
    (tmp_path / "notes.wav").write_text("this is no audio at all, but a few words")
    browser.open(server)
    browser.one("#stt-file").send_keys(str(tmp_path / "notes.wav"))
    alert = browser.until(lambda: browser.shown("#stt-notice [role=alert]"))[0].text
    assert "SN_E_FORMAT" in alert and re.search(r"Request [0-9a-f]{32}", alert)


@needs_model("whisper-tiny.en", "silero-vad")
def test_a_refused_live_session_is_told(server, browser):
    browser.open(server)
    browser.until(lambda: browser.all("#stt-model option[value='openai/whisper-tiny.en']"))
    browser.click("#stt-model option[value='openai/whisper-tiny.en']")
    browser.click("[name=stt-task][value=translate]")
    browser.click("#stt-record")
    alert = browser.until(lambda: browser.shown("#stt-notice [role=alert]"))[0].text
    assert "translat" in alert and re.search(r"SN_E_\w+ · Request [0-9a-f]{32}", alert)
    browser.until(lambda: browser.one("#stt-record").text == "Record")


@needs_model("whisper-tiny.en", "silero-vad")
def test_a_microphone_that_opens_after_the_refusal_is_closed(server, browser):
    browser.open(server)
    browser.until(lambda: browser.all("#stt-model option[value='openai/whisper-tiny.en']"))
    browser.click("#stt-model option[value='openai/whisper-tiny.en']")
    browser.click("[name=stt-task][value=translate]")
    browser.script("""
        const media = navigator.mediaDevices, open = media.getUserMedia.bind(media);
        media.getUserMedia = async wanted => {
            while (!document.querySelector("#stt-notice [role=alert]")) await new Promise(f => setTimeout(f, 20));
            return window.opened = await open(wanted);
        };""")
    browser.click("#stt-record")
    browser.until(lambda: browser.script("return window.opened?.getTracks().every(t => t.readyState === 'ended')"))
    assert browser.one("#stt-record").text == "Record"


def refuse_the_microphone(browser):
    browser.script("""
        navigator.mediaDevices.getUserMedia = async () => { throw new DOMException("no", "NotAllowedError"); };""")


@needs_model("whisper-tiny.en", "silero-vad")
def test_a_refused_microphone_leaves_nothing_to_save(server, browser):
    browser.open(server)
    browser.until(lambda: browser.all("#stt-model option[value='openai/whisper-tiny.en']"))
    refuse_the_microphone(browser)
    browser.click("#stt-record")
    browser.until(lambda: "microphone" in browser.text("#stt-notice"))
    assert not browser.shown("#stt-result") and browser.shown("#stt-empty") and browser.one("#stt-record").text == "Record"


@needs_model("whisper-tiny.en", "silero-vad")
def test_captions_of_a_lost_connection_can_be_saved(serve, browser):
    lost = serve(preload="tiny.en", drain_timeout=1).wait_ready()
    browser.open(lost)
    browser.until(lambda: browser.all("#stt-model option[value='openai/whisper-tiny.en']"))
    browser.click("#stt-model option[value='openai/whisper-tiny.en']")
    browser.click("#stt-record")
    browser.until(lambda: "americans" in words(browser.text("#stt-text")) and browser.all("#stt-text span.w"))
    lost.stop()
    browser.until(lambda: browser.shown("#stt-notice [role=alert]"))
    browser.until(lambda: browser.all("#stt-text button.w"))
    browser.script("window.saved = []; URL.createObjectURL = blob => { blob.text().then(t => window.saved.push(t)); return '#'; };")
    browser.click("#stt-downloads [aria-label='Download as txt']")
    assert "americans" in words(browser.until(lambda: browser.script("return window.saved[0]")))


def test_a_server_that_went_away_is_told(serve, browser):
    lost = serve(preload="none")
    browser.open(lost, "models")
    browser.until(lambda: browser.one("#health").get_attribute("data-state") == "ok")
    lost.stop()
    browser.go("metrics")
    browser.until(lambda: "cannot be reached" in browser.text("#met-notice"))


@needs_model("silero-vad")
def test_an_api_key_is_asked_for_and_kept(serve, browser, tmp_path_factory):
    home = make_home(tmp_path_factory.mktemp("home"))
    made = subprocess.run([SONANT, "serve", "keys", "add", "page", "--scope", "use,manage", "--home", home], capture_output=True, text=True, check=True)
    key = re.search(r"\S{30,}", made.stdout)[0]
    locked = serve(home=home, require_key="on", preload="none")
    browser.open(locked, "models")
    browser.until(lambda: browser.shown("#key-dialog"))
    assert browser.focused()[0] == "key-value"
    browser.keys("wrong", Keys.ENTER)
    browser.until(lambda: "does not know" in browser.text("#key-title"))
    browser.one("#key-value").clear()
    browser.one("#key-value").send_keys(key, Keys.ENTER)
    browser.until(lambda: browser.all("#mod-table tbody tr"))
    assert not browser.shown("#key-dialog")
    browser.driver.refresh()
    browser.until(lambda: browser.all("#mod-table tbody tr"))
    assert not browser.shown("#key-dialog") and browser.shown("#key-open")
    assert key not in "".join(browser.requested())


# ---- for everyone

def test_the_keyboard_is_enough(server, browser):
    browser.open(server)
    browser.keys(Keys.TAB)
    assert browser.focused() == ["Skip to content", True]
    walk = []
    for _ in range(30):
        browser.keys(Keys.TAB)
        walk.append(browser.focused())
        if walk[-1][0] == "stt-prompt":
            break
    names = [name for name, _ in walk]
    assert names[1] == "tab-transcribe" and [n for n in names if n.startswith("tab-")] == ["tab-transcribe"] # one stop for all tabs
    assert {"stt-record", "stt-file", "stt-model", "stt-language", "stt-denoise", "stt-hotwords", "stt-prompt"} <= set(names)
    assert [name for name, ring in walk if not ring] == []
    browser.script("document.getElementById('tab-transcribe').focus()")
    for section in SECTIONS[1:]:
        browser.keys(Keys.ARROW_RIGHT)
        assert browser.focused()[0] == "tab-" + section and browser.until(lambda: browser.shown("#" + section))
    browser.keys(Keys.ARROW_RIGHT)
    assert browser.focused()[0] == "tab-transcribe"
    browser.keys(Keys.END)
    assert browser.focused()[0] == "tab-metrics"


@needs_model("whisper-base")
def test_words_and_position_are_reached_by_arrows(server, browser):
    browser.open(server)
    transcribe(browser)
    browser.until(lambda: browser.shown("#stt-player"))
    browser.script("document.querySelector('#stt-text .w').focus()")
    browser.keys(Keys.ARROW_RIGHT, Keys.ARROW_RIGHT)
    browser.keys(Keys.ARROW_RIGHT)
    assert browser.focused()[0].startswith("fellow, at ")
    assert len(browser.all("#stt-text .w[tabindex='0']")) == 1
    slider = browser.one("#stt-player [role=slider]")
    slider.send_keys(Keys.HOME)
    slider.send_keys(Keys.ARROW_RIGHT, Keys.ARROW_RIGHT)
    browser.until(lambda: slider.get_attribute("aria-valuetext") == "0:02 of 0:11")


@needs_model("whisper-base", "joe")
def test_everything_has_a_name_and_enough_contrast(server, browser):
    for theme in ("light", "dark"):
        browser.open(server, theme=theme)
        transcribe(browser)
        assert browser.nameless() == [] and browser.faint() == [], theme
        browser.go("speak")
        speak(browser)
        assert browser.nameless() == [] and browser.faint() == [], theme
        browser.go("analyse")
        analyse(browser)
        assert browser.nameless() == [] and browser.faint() == [], theme
        for section in ("models", "metrics"):
            browser.go(section)
            time.sleep(0.5)
            assert browser.nameless() == [] and browser.faint() == [], (section, theme)


def test_the_theme_can_be_chosen_and_stays(server, browser):
    ground = "return getComputedStyle(document.documentElement).backgroundColor"
    browser.open(server, theme="light")
    light = browser.script(ground)
    browser.click("#theme")
    assert browser.one("#theme").get_attribute("aria-label") == "Theme: light" and browser.script(ground) == light
    browser.click("#theme")
    dark = browser.script(ground)
    assert browser.one("#theme").get_attribute("aria-label") == "Theme: dark" and dark != light
    browser.driver.refresh()
    assert browser.script(ground) == dark
    browser.open(server, theme="dark")
    assert browser.script(ground) == dark


@needs_model("whisper-base", "joe")
@pytest.mark.parametrize("theme", ["light", "dark"])
def test_it_fits_a_phone(server, browser, theme):
    browser.open(server, width=390, height=844, theme=theme)
    transcribe(browser)
    browser.until(lambda: browser.shown("#stt-player"))
    wide = {}
    for section, use in {"transcribe": None, "speak": speak, "analyse": analyse, "models": None, "metrics": None}.items():
        browser.go(section)
        if use:
            use(browser)
        time.sleep(0.5)
        wide[section] = browser.overflow()
        browser.shot(f"phone-{theme}-{section}")
    assert wide == dict.fromkeys(SECTIONS, 0)


def test_nothing_moves_for_those_who_ask(server, browser):
    browser.open(server)
    browser.command("Emulation.setEmulatedMedia", features=[{"name": "prefers-reduced-motion", "value": "reduce"}])
    moving = browser.script("return [...document.querySelectorAll('body *')].filter(e => parseFloat(getComputedStyle(e).transitionDuration) > .01).length")
    assert moving == 0
