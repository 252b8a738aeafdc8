"""Chromium without a window, and what the tests ask it."""
import base64
import contextlib
import json
import pathlib
import shutil
import time

try:
    from selenium import webdriver
    from selenium.webdriver import ActionChains
    from selenium.webdriver.chrome.service import Service
    from selenium.webdriver.common.by import By
    from selenium.webdriver.common.keys import Keys
except ImportError:
    webdriver = ActionChains = Service = By = Keys = None

from conftest import SONANT, SOURCE

JFK_FILE = str(SOURCE / "tests/audio/jfk.wav")
SHOTS = pathlib.Path(SONANT).parent / "web-shots"
CHROMIUM, DRIVER = shutil.which("chromium"), shutil.which("chromedriver")
MISSING = [name for name, found in {"chromium": CHROMIUM, "chromium-driver": DRIVER, "python3-selenium": webdriver}.items() if not found]


class Browser:
    def __init__(self):
        options = webdriver.ChromeOptions()
        options.binary_location = CHROMIUM
        # The machines of tests have no microphone, no sound, and mostly run as root in a container. The first two switches make a microphone
        # that says what the file says, once.
        for flag in ("--use-fake-device-for-media-stream", f"--use-file-for-fake-audio-capture={JFK_FILE}%noloop", "--use-fake-ui-for-media-stream",
                     "--headless=new", "--no-sandbox", "--disable-dev-shm-usage", "--disable-gpu", "--mute-audio", "--hide-scrollbars",
                     "--autoplay-policy=no-user-gesture-required", "--disable-background-networking", "--disable-component-update", "--no-first-run"):
            options.add_argument(flag)
        options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
        self.driver = webdriver.Chrome(service=Service(DRIVER), options=options)
        self.driver.set_script_timeout(60)

    def close(self):
        self.driver.quit()

    def open(self, server, section="", width=1280, height=860, theme="light"):
        """A fresh page: nothing is kept from the test before."""
        self.command("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=width < 500)
        self.command("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": theme}])
        self.driver.get("about:blank")
        self.command("Storage.clearDataForOrigin", origin=server.url, storageTypes="all")
        self.driver.get_log("browser")
        self.driver.get_log("performance")
        self.driver.get(f"{server.url}/#/{section}")
        self.until(lambda: self.script("return document.querySelector('[role=tab][aria-selected=true]') !== null"))

    def command(self, name, **options):
        return self.driver.execute_cdp_cmd(name, options)

    def script(self, text, *values):
        return self.driver.execute_script(text, *values)

    def all(self, selector):
        return self.driver.find_elements(By.CSS_SELECTOR, selector)

    def one(self, selector):
        return self.driver.find_element(By.CSS_SELECTOR, selector)

    def text(self, selector):
        return self.script("return document.querySelector(arguments[0]).textContent", selector)

    def shown(self, selector):
        return [e for e in self.all(selector) if e.is_displayed()]

    def click(self, selector):
        self.one(selector).click()

    def keys(self, *keys):
        ActionChains(self.driver).send_keys(*keys).perform()

    def go(self, section):
        self.click(f"#tab-{section}")
        self.until(lambda: self.shown("#" + section))

    def until(self, found, seconds=60):
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            value = found()
            if value:
                return value
            time.sleep(0.05)
        problems = [e.text for e in self.shown(".notice")]
        raise AssertionError(f"it did not come in {seconds} s; notices: {problems}; console: {self.errors()}")

    def errors(self):
        """What the console says in red, without the answers that a test asked for."""
        return [e["message"] for e in self.driver.get_log("browser") if e["level"] == "SEVERE"]

    def requested(self):
        """Addresses of all requests and sockets since the page was opened."""
        events = [json.loads(e["message"])["message"] for e in self.driver.get_log("performance")]
        return [e["params"]["request"]["url"] if e["method"] == "Network.requestWillBeSent" else e["params"]["url"] for e in events
                if e["method"] in ("Network.requestWillBeSent", "Network.webSocketCreated")]

    def shot(self, name):
        """Of the whole page, for people to look at."""
        SHOTS.mkdir(parents=True, exist_ok=True)
        picture = self.command("Page.captureScreenshot", captureBeyondViewport=True)
        (SHOTS / f"{name}.png").write_bytes(base64.b64decode(picture["data"]))

    def focused(self):
        """(name of the focused element, whether a ring can be seen round it or what stands for it)."""
        return self.script("""
            const e = document.activeElement, ring = x => x && parseFloat(getComputedStyle(x).outlineWidth) > 0 && getComputedStyle(x).outlineStyle !== 'none';
            const name = e.id || e.getAttribute('aria-label') || e.textContent.trim().slice(0, 40) || e.tagName;
            return [name, Boolean(ring(e) || ring(e.closest('.drop')) || ring(e.nextElementSibling))]""")

    def overflow(self):
        """Pixels that the page is wider than the window."""
        return self.script("return document.documentElement.scrollWidth - document.documentElement.clientWidth")

    def nameless(self):
        """Roles of controls and pictures in the accessibility tree that have no name."""
        wanted = {"button", "textbox", "combobox", "checkbox", "radio", "slider", "tab", "link", "meter", "image", "img", "dialog", "table",
                  "radiogroup", "tabpanel", "tablist", "form", "log"}
        nodes = self.command("Accessibility.getFullAXTree")["nodes"]
        assert len(nodes) > 30
        return [(n["role"]["value"], n.get("description", {}).get("value")) for n in nodes
                if not n["ignored"] and n["role"]["value"] in wanted and not n.get("name", {}).get("value", "").strip()]

    def faint(self):
        """Visible texts with less contrast than WCAG AA asks for: [text, ratio, needed]."""
        return self.script("""
            const c = document.createElement('canvas').getContext('2d', { willReadFrequently: true });
            c.canvas.width = c.canvas.height = 1;
            const paint = colors => { c.clearRect(0, 0, 1, 1); for (const x of colors) { c.fillStyle = x; c.fillRect(0, 0, 1, 1); } return [...c.getImageData(0, 0, 1, 1).data]; };
            const light = ([r, g, b]) => [r, g, b].map(v => v / 255).map(v => v <= .03928 ? v / 12.92 : ((v + .055) / 1.055) ** 2.4).reduce((s, v, i) => s + v * [.2126, .7152, .0722][i], 0);
            const out = [];
            for (const e of document.querySelectorAll('body *')) {
                const text = [...e.childNodes].filter(n => n.nodeType === 3).map(n => n.data.trim()).join('');
                if (!text || !e.checkVisibility({ opacityProperty: true, visibilityProperty: true }) || e.closest('.hidden-text, .skip, :disabled, [inert], option'))
                    continue;
                const grounds = [], style = getComputedStyle(e);
                for (let x = e; x; x = x.parentElement)
                    grounds.unshift(getComputedStyle(x).backgroundColor);
                const ground = light(paint(grounds)), ink = light(paint([...grounds, style.color]));
                const ratio = (Math.max(ground, ink) + .05) / (Math.min(ground, ink) + .05), size = parseFloat(style.fontSize);
                const needed = size >= 24 || size >= 18.66 && style.fontWeight >= 700 ? 3 : 4.5;
                if (ratio < needed)
                    out.push([text.slice(0, 40), ratio.toFixed(2), needed]);
            }
            return out""")


@contextlib.contextmanager
def browser():
    b = Browser()
    try:
        yield b
    finally:
        b.close()
