// Speech to text: a file by request, the microphone by a WebSocket.
import { call, Problem, socketAddress } from "./api.js";
import { record } from "./capture.js";
import { catalogue, shortName } from "./catalogue.js";
import { Player } from "./player.js";
import { decode, RATE } from "./sound.js";
import { $, busy, clear, clock, download, dropZone, el, facts, fail, fillSelect, languageName, notes, percent, seconds, setMeter } from "./ui.js";

const formats = ["txt", "srt", "vtt", "json"];
let player, clip = null, samples = null, transcript = null, running = null, live = null;
let asked = null; // what the transcript's request said; null: it is of live captions

export function init() {
	player = new Player($("stt-player"), { label: "Position in the recording" });
	player.ontime = markWord;
	dropZone($("stt-drop"), $("stt-file"), file => { if (!live) open(file); });
	$("stt-record").addEventListener("click", () => live ? live.finish() : startLive());
	$("stt-options").addEventListener("submit", e => {
		e.preventDefault();
		if (clip)
			transcribe();
	});
	$("stt-model").addEventListener("change", fillLanguages);
	$("stt-downloads").replaceChildren(...formats.map(f => el("button", { type: "button", class: "ghost", aria: { label: `Download as ${f}` }, onclick: () => save(f) }, f)));
	$("stt-text").addEventListener("keydown", moveWord);
	catalogue.onchange(fillModels);
}

export function show() {
	catalogue.load().catch(error => fail($("stt-notice"), error));
}

/* ---- options ---- */

function fillModels() {
	fillSelect($("stt-model"), [["auto", "Automatic"], ...catalogue.of("transcribe").map(m => [m.name, shortName(m.name) + (m.is_default ? " (default)" : "")])]);
	fillLanguages();
}

function fillLanguages() {
	const models = catalogue.of("transcribe").filter(m => $("stt-model").value === "auto" || m.name === $("stt-model").value);
	const codes = [...new Set(models.flatMap(m => m.languages || []))];
	fillSelect($("stt-language"), [["auto", "Detect"], ...codes.map(c => [c, languageName(c)]).sort((a, b) => a[1].localeCompare(b[1]))]);
}

function options() {
	return {
		model: $("stt-model").value,
		language: $("stt-language").value,
		task: document.querySelector("[name=stt-task]:checked").value,
		noise_reduction: $("stt-denoise").checked || undefined,
		hotwords: $("stt-hotwords").value.trim() || undefined,
		prompt: $("stt-prompt").value.trim() || undefined,
	};
}

/* ---- a file ---- */

async function open(file) {
	clip = file;
	samples = null;
	$("stt-again").disabled = false;
	$("stt-empty").hidden = true;
	transcribe();
	samples = await decode(file);
	if (clip === file) {
		player.load(file, samples);
		player.setWords(transcript?.word_timestamps);
	}
}

async function transcribe() {
	running?.abort();
	const mine = running = new AbortController();
	transcript = null;
	$("stt-result").hidden = true;
	busy($("stt-notice"), `Transcribing ${clip.name}`);
	const form = { file: clip, ...options(), return_timestamps: true };
	try {
		const response = await call("/stt/transcribe", { form, signal: mine.signal });
		const result = await response.json();
		asked = form;
		clear($("stt-notice"));
		showTranscript(result, /hit|audio/.test(response.headers.get("X-Cache")) ? "0 s, from the cache" : "");
	} catch (error) {
		if (mine === running)
			fail($("stt-notice"), error);
	}
}

/* ---- the transcript ---- */

const level = c => c === undefined || c >= 0.85 ? "" : c >= 0.6 ? "mid" : "low";

function wordButton(word, i) {
	const sure = word.confidence === undefined ? "" : `, ${percent(word.confidence)} sure`;
	return el("button", { type: "button", class: `w ${level(word.confidence)}`, tabindex: i ? -1 : 0, title: `${word.start.toFixed(2)} s${sure}`,
		data: { at: word.start }, aria: { label: `${word.word}, at ${word.start.toFixed(1)} seconds${sure}` }, onclick: () => player.playFrom(word.start) }, word.word);
}

// Scripts without spaces between words have none in the text either.
function spaced(buttons, text) {
	const nodes = [];
	let at = 0;
	for (const b of buttons) {
		const found = text.indexOf(b.textContent, at);
		nodes.push(...(nodes.length && (found < 0 || found > at) ? [" ", b] : [b]));
		at = found < 0 ? at : found + b.textContent.length;
	}
	return nodes;
}

// how: in place of how long it took.
function showTranscript(t, how) {
	transcript = t;
	const words = t.word_timestamps || [], text = $("stt-text");
	text.lang = t.language || "";
	text.replaceChildren(...(words.length ? spaced(words.map(wordButton), t.text) : [t.text.trim() || "No speech was found."]));
	text.classList.remove("is-live");
	$("stt-legend").hidden = !words.some(w => w.confidence !== undefined);
	$("stt-result").hidden = false;
	$("stt-empty").hidden = true;
	player.setWords(words);
	const sure = t.language_confidence ? ` (${percent(t.language_confidence)})` : "";
	const speed = how || (t.processing_time ? `${seconds(t.processing_time)}, ${Math.round(t.duration / t.processing_time)}× real time` : "");
	facts($("stt-facts"), [
		["Language", t.language ? languageName(t.language) + sure : ""],
		["Confidence", t.avg_confidence === undefined ? "" : percent(t.avg_confidence)],
		["Audio", t.duration ? seconds(t.duration) : ""],
		[how?.includes("voice") ? "Captions" : "Computed in", speed],
		["Model", t.model ? `${shortName(t.model)}${t.dtype ? ` (${t.dtype})` : ""}` : ""],
	]);
	notes($("stt-notes"), t.notes);
}

// One stop for the tab key; arrows go from word to word.
function moveWord(e) {
	const words = [...$("stt-text").querySelectorAll(".w")], i = words.indexOf(document.activeElement);
	const to = { ArrowRight: i + 1, ArrowLeft: i - 1, Home: 0, End: words.length - 1 }[e.key];
	if (i < 0 || to === undefined || !words[to])
		return;
	e.preventDefault();
	words[i].tabIndex = -1;
	words[to].tabIndex = 0;
	words[to].focus();
}

function markWord(now) {
	const index = (transcript?.word_timestamps || []).findIndex(w => now >= w.start && now < w.end);
	const playing = !player.audio.paused;
	$("stt-text").querySelectorAll(".w").forEach((w, i) => w.classList.toggle("now", playing && i === index));
}

/* ---- downloads ---- */

const stamp = (s, mark) => {
	const ms = Math.round(s * 1000), two = n => String(n).padStart(2, "0");
	return `${two(Math.floor(ms / 3600000))}:${two(Math.floor(ms / 60000) % 60)}:${two(Math.floor(ms / 1000) % 60)}${mark}${String(ms % 1000).padStart(3, "0")}`;
};

// The server cuts a file's subtitles into lines, out of the transcript that it has kept.
async function subtitles(format) {
	const name = fileName(format), kept = transcript;
	busy($("stt-notice"), `Writing ${name}`);
	try {
		const response = await call("/stt/transcribe", { form: { ...asked, response_format: format } });
		const blob = await response.blob();
		download(blob, name);
		if (kept === transcript)
			clear($("stt-notice"));
	} catch (error) {
		if (kept === transcript)
			fail($("stt-notice"), error);
	}
}

const fileName = format => (clip?.name || "transcript").replace(/\.[^.]*$/, "") + "." + format;

function save(format) {
	if (asked && (format === "srt" || format === "vtt"))
		return void subtitles(format);
	const segments = transcript.segments?.length ? transcript.segments : [{ start: 0, end: transcript.duration || 0, text: transcript.text }];
	const cue = (s, mark) => `${stamp(s.start, mark)} --> ${stamp(s.end, mark)}\n${s.text.trim()}\n`;
	const [text, type] = {
		txt: () => [transcript.text.trim() + "\n", "text/plain"],
		srt: () => [segments.map((s, i) => `${i + 1}\n${cue(s, ",")}`).join("\n"), "application/x-subrip"],
		vtt: () => ["WEBVTT\n\n" + segments.map(s => cue(s, ".")).join("\n"), "text/vtt"],
		json: () => [JSON.stringify(transcript, null, 1) + "\n", "application/json"],
	}[format]();
	download(new Blob([text], { type: type + ";charset=utf-8" }), fileName(format));
}

/* ---- live ---- */

function startLive() {
	const session = live = new Live();
	session.start().catch(error => session.isDone || session.fail(error));
}

class Live {
	constructor() {
		this.text = ""; // that will not change any more, and its words
		this.words = [];
		this.begun = ""; // of an utterance that has not ended
		this.partial = "";
		this.segments = [];
		this.notes = [];
		this.samples = 0;
		this.delays = []; // seconds from a sound's arrival at the server to its text
	}

	async start() {
		running?.abort();
		transcript = clip = asked = null;
		player.audio.pause();
		clear($("stt-notice"));
		this.showState("starting");
		await catalogue.load(); // a refused socket does not say why: here the user is asked for a key if there must be one
		this.socket = await this.connect();
		const capture = await record((piece, peak) => this.take(piece, peak));
		if (this.isDone) // the server refused while the microphone was being opened
			return void await capture.stop();
		this.capture = capture;
		this.showState("recording");
	}

	connect() {
		const { model, language, task, prompt, hotwords, noise_reduction } = options();
		return new Promise((resolve, reject) => {
			const socket = new WebSocket(socketAddress("/stt/stream"));
			socket.binaryType = "arraybuffer";
			socket.onopen = () => {
				socket.send(JSON.stringify({ type: "start", format: "pcm16", sample_rate: RATE, return_timestamps: true, model, language, task, prompt, hotwords, noise_reduction }));
				resolve(socket);
			};
			socket.onmessage = ({ data }) => this.hear(JSON.parse(data));
			socket.onerror = () => reject(new Problem(0, { detail: "The server does not accept live audio." }));
			socket.onclose = e => {
				if (live === this && !this.isDone)
					this.fail(new Problem(0, { detail: e.reason || "The connection was closed." }));
			};
		});
	}

	take(piece, peak) {
		this.samples += piece.length;
		setMeter($("stt-level"), Math.sqrt(peak));
		$("stt-clock").textContent = clock(this.samples / RATE);
		if (this.socket.readyState === WebSocket.OPEN)
			this.socket.send(piece);
	}

	hear(message) {
		if (message.latency >= 0)
			this.delays.push(message.latency);
		const f = { ready: this.onReady, partial: this.onPartial, commit: this.onCommit, segment: this.onSegment, note: this.onNote, done: this.onDone, error: this.onError };
		f[message.type]?.call(this, message);
	}

	onPartial({ text }) {
		this.partial = text;
		this.draw();
	}

	onCommit({ text, words }) {
		this.text += text;
		this.begun += text;
		this.words.push(...(words || []));
		this.partial = "";
		this.draw();
	}

	onReady({ live: commits }) { this.commits = commits; }

	// An utterance has ended: its text is that of its commits, where the model makes any. Read out whole, since words one by one are hard
	// to follow.
	onSegment({ id, start, end, text, confidence, words }) {
		this.segments.push({ id, start, end, text, confidence });
		if (this.commits === false)
			this.onCommit({ text, words });
		this.begun = "";
		$("stt-live").append(el("p", {}, text.trim()));
	}

	onNote({ code, message }) { this.notes.push({ code, message }); }

	onDone({ text, language, model, dtype, duration, confidence }) {
		const delays = this.delays.sort((a, b) => a - b), median = delays[delays.length >> 1];
		this.end();
		showTranscript({ success: true, text, language, avg_confidence: confidence || undefined, duration, model, dtype, segments: this.segments,
			word_timestamps: this.words, notes: this.notes }, median === undefined ? "" : `${seconds(median)} behind the voice`);
	}

	onError({ code, message, field, request_id, fatal }) {
		if (fatal !== false)
			this.fail(new Problem(0, { code, detail: message, field, request_id }));
	}

	draw() {
		const words = this.words.map(w => el("span", { class: `w ${level(w.confidence)}` }, w.word)), text = $("stt-text");
		text.classList.add("is-live");
		text.replaceChildren(...(words.length ? spaced(words, this.text) : [this.text]), el("span", { class: "partial" }, this.text ? this.partial : this.partial.trimStart()));
		if (!this.text && !this.partial)
			text.append(el("span", { class: "muted" }, "Listening …"));
	}

	async finish() {
		if (!this.capture || this.isFinishing)
			return;
		this.isFinishing = true;
		this.showState("finishing");
		clip = await this.capture.stop();
		this.capture = null;
		if (this.socket.readyState === WebSocket.OPEN)
			this.socket.send(JSON.stringify({ type: "finish" }));
	}

	async end() {
		this.isDone = true;
		this.socket?.close();
		if (this.capture)
			clip = await this.capture.stop();
		live = null;
		this.showState("idle");
		$("stt-again").disabled = !clip;
		if (!clip)
			return;
		player.load(clip, samples = await decode(clip));
		player.setWords(transcript?.word_timestamps);
	}

	// What was committed stays, to be read, played and saved.
	async fail(error) {
		const ended = this.end(), duration = this.samples / RATE, start = this.segments.at(-1)?.end ?? 0;
		if (this.begun.trim())
			this.segments.push({ id: this.segments.length, start, end: Math.max(start, this.words.at(-1)?.end ?? duration), text: this.begun });
		if (this.text.trim())
			showTranscript({ success: false, text: this.text, duration, segments: this.segments, word_timestamps: this.words, notes: this.notes }, "");
		else
			this.showNothing();
		fail($("stt-notice"), error);
		await ended;
	}

	showNothing() {
		$("stt-result").hidden = true;
		$("stt-empty").hidden = false;
		$("stt-text").replaceChildren();
		$("stt-text").classList.remove("is-live");
	}

	showState(state) {
		const isLive = state !== "idle";
		$("stt-record").dataset.state = state;
		$("stt-record").lastElementChild.textContent = { idle: "Record", starting: "Starting", recording: "Stop", finishing: "Finishing" }[state];
		$("stt-record").setAttribute("aria-pressed", state === "recording");
		document.querySelector("#stt-drop .source-idle").hidden = isLive;
		document.querySelector("#stt-drop .source-live").hidden = !isLive;
		$("stt-options").inert = isLive;
		if (state === "starting") {
			$("stt-player").hidden = $("stt-empty").hidden = true;
			$("stt-result").hidden = false;
			$("stt-downloads").hidden = $("stt-legend").hidden = true;
			facts($("stt-facts"), []);
			notes($("stt-notes"), []);
			$("stt-text").replaceChildren(el("span", { class: "muted" }, "Listening …"));
			$("stt-live").replaceChildren();
		}
		$("stt-downloads").hidden = isLive;
	}
}
