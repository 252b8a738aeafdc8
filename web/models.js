// What is installed, what is in memory, and the voices.
import { call, getJson } from "./api.js";
import { catalogue, shortName } from "./catalogue.js";
import { removeVoice } from "./speak.js";
import { $, busy, bytes, clear, el, fail, languageName } from "./ui.js";

const states = { ready: "Ready", loading: "Loading", installed: "On disk", absent: "Not installed", failed: "Failed" };
const MAX_VOICES = 200; // rows; a model can have thousands of speakers
let timer = null;

export function init() { catalogue.onchange(draw); }

export function show() {
	look();
	timer = setInterval(() => { if (!document.hidden) look(true); }, 5000);
}

export function hide() { clearInterval(timer); }

async function look(isQuiet) {
	try {
		await catalogue.load();
	} catch (error) {
		if (!isQuiet)
			fail($("mod-notice"), error);
	}
}

async function act(path, body, text) {
	busy($("mod-notice"), text);
	try {
		await call(path, { json: body });
		await catalogue.load();
		clear($("mod-notice"));
	} catch (error) {
		fail($("mod-notice"), error);
	}
}

function actions(m) {
	const short = shortName(m.name);
	const button = (label, f, kind = "") => el("button", { type: "button", class: `ghost ${kind}`, aria: { label: `${label}: ${short}` }, onclick: f }, label);
	const list = [], isServed = m.task === "transcribe" || m.task === "speak"; // others are tools, opened when they are needed
	if (m.state === "absent")
		list.push(button("Install", () => pull(m.name)));
	else if (isServed && (m.state === "installed" || m.state === "failed"))
		list.push(button("Load", () => act("/audio/models/load", { model: m.name }, `Loading ${short}`)));
	else if (isServed && m.state === "ready")
		list.push(button("Unload", () => act("/audio/models/unload", { model: m.name }, `Unloading ${short}`)));
	if (isServed && !m.is_default && m.state !== "absent")
		list.unshift(button("Make default", () => act("/audio/models/default", { task: m.task, model: m.name }, `Making ${short} the default`)));
	return list;
}

function languagesOf(m) {
	const all = (m.languages || []).filter(code => code !== "multilingual");
	if (!all.length)
		return m.languages?.length && (m.task === "transcribe" || m.task === "speak") ? "many" : "–";
	if (all.length < 4)
		return all.map(languageName).join(", ");
	return el("details", {}, el("summary", {}, `${all.length} languages`), el("p", {}, all.map(languageName).sort().join(", ")));
}

// Rows stay where they are while the list is polled: an open list of languages, the focus and a screen reader's place are in them.
const rows = new Map();

function rowOf(m) {
	const told = JSON.stringify({ ...m, idle: 0, sessions: 0 });
	const held = rows.get(m.name);
	if (held?.told === told)
		return held.row;
	const facts = [m.architecture, m.dtype, m.parameters ? `${Math.round(m.parameters / 1e6)} M parameters` : "", m.licence].filter(Boolean).join(" · ");
	const row = el("tr", {},
		el("th", { scope: "row" }, el("span", { class: "name" }, m.name, m.is_default && (m.task === "transcribe" || m.task === "speak") ? el("span", { class: "tag" }, "default") : null), el("small", {}, facts)),
		el("td", { data: { label: "Task" } }, m.task || "–"),
		el("td", { data: { label: "State" } }, el("span", { class: "state", data: { state: m.state } }, states[m.state] || m.state), m.error ? el("small", { class: "bad-text" }, m.error) : null),
		el("td", { data: { label: "Languages" } }, languagesOf(m)),
		el("td", { class: "num", data: { label: "Size" } }, el("span", {}, m.memory || m.bytes ? bytes(m.memory || m.bytes) : "–",
			m.memory || m.bytes ? el("small", { class: "muted" }, m.memory ? " in memory" : " on disk") : null)),
		el("td", { class: "row-actions" }, ...actions(m)));
	rows.set(m.name, { told, row });
	return row;
}

function draw() {
	const order = { ready: 0, loading: 1, failed: 2, installed: 3, absent: 4 };
	const models = [...catalogue.models].sort((a, b) => order[a.state] - order[b.state] || a.task.localeCompare(b.task) || a.name.localeCompare(b.name));
	const here = models.filter(m => m.state !== "absent"), more = models.filter(m => m.state === "absent");
	put($("mod-table").tBodies[0], here, "No models are installed. On the server: sonant models pull base joe");
	put($("more-table").tBodies[0], more, "Everything is installed");
	const used = here.reduce((n, m) => n + (m.memory || 0), 0);
	$("mod-memory").textContent = used ? `${bytes(used)} in memory` : "";
	$("mod-more-count").textContent = more.length;
	$("mod-more").hidden = !more.length;
	drawVoices();
}

function put(body, models, otherwise) {
	const wanted = models.map(rowOf);
	if (wanted.length !== body.rows.length || wanted.some((row, i) => row !== body.rows[i]))
		body.replaceChildren(...(wanted.length ? wanted : [el("tr", {}, el("td", { colspan: 6, class: "muted" }, otherwise))]));
}

function drawVoices() {
	const voices = [...catalogue.voices].sort((a, b) => Number(b.in_bank) - Number(a.in_bank));
	const told = JSON.stringify(voices), body = $("voice-table").tBodies[0];
	if (body.dataset.told === told)
		return;
	body.dataset.told = told;
	$("voice-count").textContent = voices.length > MAX_VOICES ? `${MAX_VOICES} of ${voices.length}` : String(voices.length || "");
	body.replaceChildren(...(voices.length ? voices.slice(0, MAX_VOICES).map(v => el("tr", {},
		el("th", { scope: "row" }, v.name, v.in_bank ? el("span", { class: "tag" }, "added") : null),
		el("td", { data: { label: "Kind" } }, v.kind),
		el("td", { data: { label: "Model" } }, v.model ? shortName(v.model) : "any"),
		el("td", { data: { label: "Language" } }, v.language ? languageName(v.language) : "–"),
		el("td", { class: "row-actions" }, v.in_bank ? el("button", { type: "button", class: "ghost danger", aria: { label: `Remove the voice ${v.name}` },
			onclick: () => removeVoice(v.name, $("mod-notice")) }, "Remove") : null))) : [el("tr", {}, el("td", { colspan: 5, class: "muted" }, "No voices are listed"))]));
}

/* ---- installing ---- */

async function pull(name) {
	try {
		await call("/audio/models/pull", { json: { model: name } });
		for (;;) {
			const { pulls } = await getJson("/audio/models/pull");
			const mine = pulls.find(p => p.model === name) || pulls[pulls.length - 1];
			if (!mine || mine.state === "done")
				break;
			if (mine.state === "failed")
				throw new Error(mine.error || "The model could not be installed.");
			busy($("mod-notice"), `Installing ${shortName(name)}${mine.total ? `, ${bytes(mine.bytes)} of ${bytes(mine.total)}` : ""}`);
			await new Promise(f => setTimeout(f, 700));
		}
		await catalogue.load();
		clear($("mod-notice"));
	} catch (error) {
		fail($("mod-notice"), error);
	}
}
