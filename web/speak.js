// Text to speech, played as it comes; and voices made from clips.
import { call, getJson, Problem } from "./api.js";
import { record } from "./capture.js";
import { catalogue, shortName } from "./catalogue.js";
import { Player } from "./player.js";
import { decode, wav } from "./sound.js";
import { $, busy, clear, clock, download, dropZone, el, facts, fail, fillSelect, fixed, languageName, notes, say, seconds } from "./ui.js";

let player, running = null, spoken = null, clip = null, capture = null;

export function init() {
	player = new Player($("tts-player"), { label: "Position in the speech" });
	$("tts-form").addEventListener("submit", e => { e.preventDefault(); speak(); });
	$("tts-stop").addEventListener("click", () => running?.stop());
	$("tts-text").addEventListener("input", count);
	$("tts-text").addEventListener("keydown", e => { if (e.key === "Enter" && (e.ctrlKey || e.metaKey)) speak(); });
	$("tts-speed").addEventListener("input", showSpeed);
	$("tts-model").addEventListener("change", fillForModel);
	$("tts-options").addEventListener("submit", e => e.preventDefault());
	$("tts-downloads").replaceChildren(el("button", { type: "button", class: "ghost", onclick: save }, "Download"));
	initClone();
	catalogue.onchange(fill);
	count();
}

export function show() { catalogue.load().catch(error => fail($("tts-notice"), error)); }
export function hide() { capture?.stop().then(() => showRecord(null)); }

/* ---- options ---- */

function count() {
	const text = $("tts-text").value, n = [...text].length;
	$("tts-count").textContent = `${n.toLocaleString("en")} character${n === 1 ? "" : "s"}${/^\s*<speak/.test(text) ? ", SSML" : ""}`;
	$("tts-speak").disabled = !text.trim();
}

const showSpeed = () => { $("tts-speed-out").textContent = `${Number($("tts-speed").value).toFixed(2)}×`; };

function fill() {
	const models = catalogue.of("speak");
	fillSelect($("tts-model"), [["auto", "Automatic"], ...models.map(m => [m.name, shortName(m.name) + (m.is_default ? " (default)" : "")])]);
	fillSelect($("clone-model"), [["", "Any (the clip is kept)"], ...models.filter(m => m.capabilities?.includes("cloning")).map(m => [m.name, shortName(m.name)])]);
	fillForModel();
	fillBank();
}

// Voices, languages and emotions are the model's; with "auto" those of all.
function fillForModel() {
	const name = $("tts-model").value, models = catalogue.of("speak").filter(m => name === "auto" || m.name === name);
	const codes = [...new Set(models.flatMap(m => m.languages || []))];
	const emotions = [...new Set(models.flatMap(m => m.emotions || []))];
	const voices = catalogue.voices.filter(v => name === "auto" || !v.model || v.model === name);
	fillSelect($("tts-voice"), [["default", "Default"], ...[...new Set(voices.map(v => v.name))].filter(v => v !== "default").map(v => [v, v])]);
	fillSelect($("tts-language"), [["auto", "As the text"], ...codes.map(c => [c, languageName(c)])]);
	fillSelect($("tts-emotion"), [["", "None"], ...emotions.map(e => [e, e])]);
	$("tts-emotion-field").hidden = !emotions.length;
}

const request = () => ({
	text: $("tts-text").value,
	model: $("tts-model").value,
	voice: $("tts-voice").value,
	language: $("tts-language").value,
	speed: Number($("tts-speed").value),
	...($("tts-emotion").value && !$("tts-emotion-field").hidden ? { emotion: $("tts-emotion").value } : {}),
});

/* ---- speech ---- */

// Takes the bytes of a streamed WAV and plays each piece behind the one before.
class Stream {
	constructor(started) {
		this.started = started;
		this.context = new AudioContext();
		this.abort = new AbortController();
		this.pieces = [];
		this.rest = new Uint8Array(0);
		this.rate = 0;
		this.at = 0;
	}

	take(bytes) {
		const all = new Uint8Array(this.rest.length + bytes.length);
		all.set(this.rest);
		all.set(bytes, this.rest.length);
		const body = this.rate ? all : this.readHeader(all);
		if (!body) {
			this.rest = all;
			return;
		}
		const whole = body.length & ~1;
		this.rest = body.slice(whole);
		if (whole)
			this.play(new Int16Array(body.slice(0, whole).buffer));
	}

	// The samples after the "data" chunk's head; its size is unknown while streaming.
	readHeader(all) {
		const view = new DataView(all.buffer);
		for (let at = 12; at + 8 <= all.length;) {
			const id = String.fromCharCode(...all.slice(at, at + 4)), size = view.getUint32(at + 4, true);
			if (id === "fmt " && at + 24 <= all.length)
				this.found = view.getUint32(at + 12, true);
			if (id === "data") {
				this.rate = this.found || 22050;
				return all.slice(at + 8);
			}
			at += 8 + size + (size & 1);
		}
		return null;
	}

	play(samples) {
		this.first ??= (performance.now() - this.started) / 1000;
		this.pieces.push(samples);
		const buffer = this.context.createBuffer(1, samples.length, this.rate);
		const channel = buffer.getChannelData(0);
		for (let i = 0; i < samples.length; i++)
			channel[i] = samples[i] / 32768;
		const source = new AudioBufferSourceNode(this.context, { buffer });
		source.connect(this.context.destination);
		this.at = Math.max(this.at, this.context.currentTime + 0.03);
		source.start(this.at);
		this.at += buffer.duration;
	}

	// Resolves when the last sample was heard.
	heard() {
		const left = this.at - this.context.currentTime;
		return this.context.state === "running" && left > 0 ? new Promise(f => { this.done = f; setTimeout(f, left * 1000 + 50); }) : Promise.resolve();
	}

	stop() {
		this.abort.abort();
		this.done?.();
		this.context.close().catch(() => {});
	}
}

async function speak() {
	if (!$("tts-text").value.trim())
		return;
	running?.stop();
	player.audio.pause();
	const mine = running = new Stream(performance.now()), asked = request();
	showBusy(true);
	busy($("tts-notice"), "Speaking");
	$("tts-result").hidden = true;
	try {
		const response = await call("/tts/synthesize", { json: { ...asked, stream: true, response_format: "wav" }, headers: { Accept: "audio/wav" }, signal: mine.abort.signal });
		for (const reader = response.body.getReader();;) {
			const { value, done } = await reader.read();
			if (done)
				break;
			mine.take(value);
		}
		if (!mine.pieces.length)
			throw new Problem(0, { detail: "The server sent no speech." });
		clear($("tts-notice"));
		await present(mine, asked, response.headers);
		await mine.heard();
	} catch (error) {
		if (mine === running)
			fail($("tts-notice"), error);
	}
	mine.stop();
	if (mine === running) {
		running = null;
		showBusy(false);
	}
}

function showBusy(isBusy) {
	$("tts-stop").hidden = !isBusy;
	$("tts-speak").textContent = isBusy ? "Speak again" : "Speak";
}

async function present(stream, asked, headers) {
	const total = (performance.now() - stream.started) / 1000;
	const blob = wav(stream.pieces, stream.rate), duration = stream.pieces.reduce((n, p) => n + p.length, 0) / stream.rate;
	spoken = { blob, asked };
	player.load(blob, await decode(blob));
	const list = [
		["First audio after", seconds(stream.first)],
		["Duration", seconds(duration)],
		["Whole after", seconds(total)],
		["Model", shortName(headers.get("X-Model") || (asked.model === "auto" ? "" : asked.model))],
		["Voice", headers.get("X-Voice") || asked.voice],
	];
	$("tts-result").hidden = false;
	facts($("tts-facts"), list);
	notes($("tts-notes"), []);
	rate(blob, list);
}

// Beside the latency path: the score comes when it is known.
async function rate(blob, list) {
	try {
		const quality = await getJson("/audio/quality", { form: { file: new File([blob], "speech.wav") } });
		if (spoken?.blob === blob && quality.score)
			facts($("tts-facts"), [...list, ["Quality", `${fixed(quality.score)} of 5`]]);
	} catch {
		// without a rater there is no score to show, and nothing that the user could do
	}
}

async function save() {
	const format = $("tts-format").value, name = `speech.${format}`;
	if (format === "wav")
		return download(spoken.blob, name);
	busy($("tts-notice"), "Converting");
	try {
		const response = await call("/tts/synthesize", { json: { ...spoken.asked, response_format: format }, headers: { Accept: "audio/*" } });
		download(await response.blob(), name);
		clear($("tts-notice"));
	} catch (error) {
		fail($("tts-notice"), error);
	}
}

/* ---- voices ---- */

function initClone() {
	dropZone($("clone-drop"), $("clone-file"), setClip);
	$("clone-record").addEventListener("click", recordClip);
	$("clone-name").addEventListener("input", readyToAdd);
	$("clone-form").addEventListener("submit", addVoice);
}

function readyToAdd() { $("clone-add").disabled = !clip || !$("clone-name").value.trim(); }

function setClip(file) {
	clip = file;
	$("clone-clip").textContent = `${file.name}, or `;
	readyToAdd();
}

function showRecord(state) {
	$("clone-record").dataset.state = state ? "recording" : "idle";
	$("clone-record").lastElementChild.textContent = state || "Record";
	if (!state)
		capture = null;
}

async function recordClip() {
	if (capture) {
		const file = await capture.stop();
		showRecord(null);
		return setClip(file);
	}
	let samples = 0;
	try {
		capture = await record(piece => {
			samples += piece.length;
			showRecord(`Stop ${clock(samples / 16000)}`);
		});
		showRecord("Stop 0:00");
	} catch (error) {
		fail($("clone-notice"), error);
	}
}

async function addVoice(event) {
	event.preventDefault();
	const name = $("clone-name").value.trim();
	busy($("clone-notice"), "Listening to the clip");
	try {
		await call("/tts/voices", { form: { name, file: clip, model: $("clone-model").value } });
		await catalogue.load();
		$("tts-voice").value = name;
		say($("clone-notice"), `The voice “${name}” can be chosen now.`);
		clip = null;
		$("clone-form").reset();
		$("clone-clip").textContent = "or drop a clip here, or ";
		readyToAdd();
	} catch (error) {
		fail($("clone-notice"), error);
	}
}

function fillBank() {
	const mine = catalogue.voices.filter(v => v.in_bank);
	$("bank").replaceChildren(...(mine.length ? mine.map(v => el("li", {}, el("span", {}, v.name), el("button", { type: "button", class: "ghost danger",
		aria: { label: `Remove the voice ${v.name}` }, onclick: () => removeVoice(v.name, $("tts-notice")) }, "Remove"))) : [el("li", { class: "muted" }, "None yet")]));
}

export async function removeVoice(name, slot) {
	if (!confirm(`Remove the voice “${name}”? Its embedding and clip are deleted.`))
		return;
	try {
		await call(`/tts/voices/${encodeURIComponent(name)}`, { method: "DELETE" });
		await catalogue.load();
	} catch (error) {
		fail(slot, error);
	}
}
