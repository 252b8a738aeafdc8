// The shell: sections by the address's hash, theme, API key, the server's health.
import { getJson, key } from "./api.js";
import { $, themeChanged } from "./ui.js";
import * as analyse from "./analyse.js";
import * as metrics from "./metrics.js";
import * as models from "./models.js";
import * as speak from "./speak.js";
import * as transcribe from "./transcribe.js";

/* ---- sections ---- */

const sections = { transcribe, speak, analyse, models, metrics };
const tabs = [...document.querySelectorAll("[role=tab]")];
let shown = null;

function show(name) {
	if (!sections[name])
		name = "transcribe";
	if (name === shown)
		return;
	if (shown)
		sections[shown].hide?.();
	shown = name;
	for (const tab of tabs) {
		const on = tab.dataset.tab === name;
		tab.setAttribute("aria-selected", on);
		tab.tabIndex = on ? 0 : -1;
		$(tab.dataset.tab).hidden = !on;
	}
	document.title = `${tabs.find(t => t.dataset.tab === name).textContent} · Sonant`;
	sections[name].show?.();
}

// "#/speak": a hash that is an element's id would take the focus away from the tab.
const go = name => { location.hash = "/" + name; };
const fromHash = () => show(location.hash.replace(/^#\/?/, "") || "transcribe");

for (const [i, tab] of tabs.entries()) {
	tab.addEventListener("click", () => go(tab.dataset.tab));
	tab.addEventListener("keydown", e => {
		const to = { ArrowRight: i + 1, ArrowLeft: i - 1, Home: 0, End: tabs.length - 1 }[e.key];
		if (to === undefined)
			return;
		e.preventDefault();
		const next = tabs[(to + tabs.length) % tabs.length];
		next.focus();
		go(next.dataset.tab);
	});
}
addEventListener("hashchange", fromHash);
document.querySelector(".skip").addEventListener("click", e => { // the hash belongs to the sections
	e.preventDefault();
	$("main").focus();
});

/* ---- theme ---- */

const themes = { auto: ["◐", "Theme: as the system"], light: ["☀", "Theme: light"], dark: ["☾", "Theme: dark"] };

function showTheme() {
	const theme = document.documentElement.dataset.theme || "auto";
	const [mark, label] = themes[theme];
	$("theme").textContent = mark;
	$("theme").setAttribute("aria-label", label);
	$("theme").title = label;
	themeChanged();
}

$("theme").addEventListener("click", () => {
	const order = Object.keys(themes), now = document.documentElement.dataset.theme || "auto";
	const next = order[(order.indexOf(now) + 1) % order.length];
	if (next === "auto") {
		delete document.documentElement.dataset.theme;
		localStorage.removeItem("theme");
	} else {
		document.documentElement.dataset.theme = next;
		localStorage.setItem("theme", next);
	}
	showTheme();
});
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", showTheme);

/* ---- API key ---- */

const dialog = $("key-dialog");
let answer = null;

function openKey(wasRefused) {
	$("key-title").textContent = wasRefused ? "The server does not know this key" : "This server asks for an API key";
	$("key-value").value = key.value;
	$("key-forget").hidden = !key.value;
	if (!dialog.open)
		dialog.showModal();
}

key.ask = wasRefused => new Promise(resolve => {
	answer = resolve;
	openKey(wasRefused);
});
$("key-form").addEventListener("submit", () => { key.value = $("key-value").value.trim(); });
$("key-cancel").addEventListener("click", () => dialog.close());
$("key-forget").addEventListener("click", () => {
	key.value = "";
	dialog.close();
});
dialog.addEventListener("close", () => {
	$("key-open").hidden = false;
	answer?.(dialog.returnValue === "use");
	answer = null;
	dialog.returnValue = "";
});
$("key-open").addEventListener("click", () => openKey(false));
$("key-open").hidden = !key.value;

/* ---- health ---- */

async function look() {
	let state = "bad", text = "no answer", title = "The server cannot be reached";
	try {
		const health = await getJson("/audio/health", { quiet: true });
		state = health.status === "ok" ? "ok" : "warn";
		text = health.status === "ok" ? health.version : health.status;
		title = `Sonant ${health.version}, ${health.status}`;
	} catch (error) {
		if (error.status === 401)
			[state, text, title] = ["warn", "key needed", "The server asks for an API key"];
	}
	$("health").dataset.state = state;
	$("health").title = title;
	$("health").lastElementChild.textContent = text;
}

for (const section of Object.values(sections))
	section.init();
showTheme();
fromHash();
look();
setInterval(() => { if (!document.hidden) look(); }, 10000);
