// Speech to text: a file by request, the microphone by a WebSocket.
import { call, Problem, socketAddress } from "./api.js";
import { record } from "./capture.js";
import { catalogue, shortName } from "./catalogue.js";
import { Player } from "./player.js";
import { decode, RATE } from "./sound.js";
import { $, busy, clear, clock, download, dropZone, el, facts, fail, fillSelect, languageName, notes, percent, seconds } from "./ui.js";

const formats = ["txt", "srt", "vtt", "json"];
let player, clip = null, samples = null, transcript = null, running = null, live = null;

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
	const file = clip, started = performance.now();
	try {
		const response = await call("/stt/transcribe", { form: { file, ...options(), return_timestamps: true }, signal: mine.signal });
		const result = await response.json();
		clear($("stt-notice"));
		showTranscript({ ...result, waited: (performance.now() - started) / 1000 });
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

function showTranscript(t) {
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
	const speed = t.processing_time ? `${seconds(t.processing_time)}, ${Math.round(t.duration / t.processing_time)}× real time` : "";
	facts($("stt-facts"), [
		["Language", t.language ? languageName(t.language) + sure : ""],
		["Confidence", t.avg_confidence === undefined ? "" : percent(t.avg_confidence)],
		["Audio", t.duration ? seconds(t.duration) : ""],
		["Computed in", speed],
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

function save(format) {
	const segments = transcript.segments?.length ? transcript.segments : [{ start: 0, end: transcript.duration || 0, text: transcript.text }];
	const cue = (s, mark) => `${stamp(s.start, mark)} --> ${stamp(s.end, mark)}\n${s.text.trim()}\n`;
	const { waited, ...reply } = transcript;
	const [text, type] = {
		txt: () => [transcript.text.trim() + "\n", "text/plain"],
		srt: () => [segments.map((s, i) => `${i + 1}\n${cue(s, ",")}`).join("\n"), "application/x-subrip"],
		vtt: () => ["WEBVTT\n\n" + segments.map(s => cue(s, ".")).join("\n"), "text/vtt"],
		json: () => [JSON.stringify(reply, null, 1) + "\n", "application/json"],
	}[format]();
	download(new Blob([text], { type: type + ";charset=utf-8" }), (clip?.name || "transcript").replace(/\.[^.]*$/, "") + "." + format);
}

/* ---- live ---- */

function startLive() {
	live = new Live();
	live.start().catch(error => live?.fail(error));
}

class Live {
	constructor() {
		this.committed = []; // words, or texts where the model tells no words
		this.partial = "";
		this.segments = [];
		this.notes = [];
		this.spoken = 0; // of the segments, to the screen reader
	}

	async start() {
		running?.abort();
		transcript = clip = null;
		player.audio.pause();
		clear($("stt-notice"));
		this.showState("starting");
		this.socket = await this.connect();
		this.capture = await record((piece, peak) => this.take(piece, peak));
		this.showState("recording");
	}

	connect() {
		return new Promise((resolve, reject) => {
			const socket = new WebSocket(socketAddress("/stt/stream"));
			socket.binaryType = "arraybuffer";
			socket.onopen = () => {
				socket.send(JSON.stringify({ type: "start", format: "pcm16", sample_rate: RATE, return_timestamps: true, ...options() }));
				resolve(socket);
			};
			socket.onmessage = ({ data }) => this.hear(JSON.parse(data));
			socket.onerror = () => reject(new Problem(0, { detail: "The server does not accept live audio." }));
			socket.onclose = e => { if (live === this && !this.isDone) this.fail(new Problem(0, { detail: e.reason || "The connection was closed." })); };
		});
	}

	take(piece, peak) {
		this.samples = (this.samples || 0) + piece.length;
		$("stt-level").value = Math.min(1, Math.sqrt(peak));
		$("stt-clock").textContent = clock(this.samples / RATE);
		if (this.socket.readyState === WebSocket.OPEN)
			this.socket.send(piece);
	}

	hear(message) {
		const f = { partial: this.onPartial, commit: this.onCommit, segment: this.onSegment, note: this.onNote, done: this.onDone, error: this.onError }[message.type];
		f?.call(this, message);
	}

	onPartial({ text }) {
		this.partial = text || "";
		this.draw();
	}

	onCommit({ text, words }) {
		this.committed.push(...(words?.length ? words : [text]));
		this.partial = "";
		this.draw();
	}

	// An utterance has ended: its text is that of its commits. Read out whole, since words one by one are hard to follow.
	onSegment(message) {
		const segment = message.segment || message;
		this.segments.push(segment);
		$("stt-live").append(el("p", {}, segment.text.trim()));
	}

	onNote(message) { this.notes.push(message.note || message); }

	onDone(message) {
		const words = this.committed.filter(w => typeof w === "object");
		const text = this.segments.map(s => s.text.trim()).join(" ");
		this.end();
		showTranscript({ success: true, text, word_timestamps: words, segments: this.segments, duration: (this.samples || 0) / RATE, notes: this.notes,
			...message, type: undefined });
	}

	onError(message) {
		const error = message.error || message;
		this.fail(new Problem(0, error));
	}

	draw() {
		const nodes = this.committed.map((w, i) => typeof w === "string" ? w : el("span", { class: `w ${level(w.confidence)}` }, w.word));
		const text = $("stt-text");
		text.classList.add("is-live");
		text.replaceChildren(...nodes.flatMap(n => typeof n === "string" ? [n] : [n, " "]), el("span", { class: "partial" }, this.partial.trim()));
		if (!nodes.length && !this.partial)
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
		if (clip)
			player.load(clip, samples = await decode(clip));
	}

	async fail(error) {
		await this.end();
		fail($("stt-notice"), error);
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
