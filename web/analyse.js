// What a clip is like, measured by the server, drawn here; and what enhancing makes of it.
import { call } from "./api.js";
import { record } from "./capture.js";
import { Player } from "./player.js";
import { decode, RATE } from "./sound.js";
import { $, busy, clear, clock, download, dropZone, el, fail, fixed, languageName, meter, notes, percent, seconds } from "./ui.js";

let player, compared, clip = null, samples = null, enhanced = null, capture = null;

export function init() {
	player = new Player($("ana-player"), { label: "Position in the clip", mel: true });
	compared = new Player($("enh-player"), { label: "Position in the comparison", mel: true });
	dropZone($("ana-drop"), $("ana-file"), open);
	$("ana-record").addEventListener("click", toggleRecord);
	$("enh-form").addEventListener("submit", e => { e.preventDefault(); enhance(); });
	document.querySelectorAll("[name=enh-side]").forEach(r => r.addEventListener("change", swapSide));
}

export function hide() { if (capture) toggleRecord(); }

async function toggleRecord() {
	if (capture) {
		const ended = capture;
		capture = null;
		showRecording(false);
		return open(await ended.stop());
	}
	let count = 0;
	try {
		capture = await record(piece => { $("ana-clock").textContent = clock((count += piece.length) / RATE); });
		showRecording(true);
	} catch (error) {
		fail($("ana-notice"), error);
	}
}

function showRecording(on) {
	$("ana-record").dataset.state = on ? "recording" : "idle";
	$("ana-record").lastElementChild.textContent = on ? "Stop" : "Record";
	$("ana-clock").hidden = !on;
	document.querySelector("#ana-drop .source-idle").hidden = on;
}

async function open(file) {
	clip = file;
	enhanced = null;
	for (const id of ["ana-result", "enh-out", "ana-enhance", "ana-player"])
		$(id).hidden = true;
	clear($("enh-notice"));
	busy($("ana-notice"), `Measuring ${file.name}`);
	const report = call("/audio/analyze", { form: { file } }).then(r => r.json());
	report.catch(() => {}); // it is awaited below
	samples = await decode(file);
	if (clip !== file)
		return;
	player.load(file, samples);
	$("ana-enhance").hidden = false;
	try {
		const analysis = await report;
		if (clip !== file)
			return;
		clear($("ana-notice"));
		showAnalysis(analysis);
	} catch (error) {
		if (clip === file)
			fail($("ana-notice"), error);
	}
}

/* ---- the report ---- */

const tile = (term, value, note) => el("div", {}, el("dt", {}, term), el("dd", {}, value, note ? el("small", {}, note) : null));

function showAnalysis(a) {
	const q = a.quality || a, pitch = a.pitch;
	$("ana-result").hidden = false;
	player.setSpans(a.speech);
	const has = x => x !== undefined && x !== null;
	$("ana-tiles").replaceChildren(...[
		has(q.loudness) && tile("Loudness", `${fixed(q.loudness)} LUFS`, has(q.loudness_range) ? `range ${fixed(q.loudness_range)} LU` : ""),
		has(q.true_peak) && tile("True peak", `${fixed(q.true_peak)} dBTP`, has(q.peak) ? `samples ${fixed(q.peak)} dB` : ""),
		has(q.rms) && tile("Level", `${fixed(q.rms)} dB`, has(a.crest) ? `crest ${fixed(a.crest)} dB` : "RMS"),
		has(q.snr) && tile("Signal to noise", `${fixed(q.snr)} dB`, has(q.noise_floor) ? `floor ${fixed(q.noise_floor)} dB` : ""),
		has(q.clipping) && tile("Clipping", percent(q.clipping), `${q.clipped_runs || 0} runs`),
		has(q.silence) && tile("Silence", percent(q.silence), has(q.speech) ? `speech ${percent(q.speech)}` : ""),
		has(q.bandwidth) && tile("Bandwidth", `${fixed(q.bandwidth / 1000)} kHz`, a.spectrum ? `centre ${fixed(a.spectrum.centroid / 1000, 2)} kHz` : ""),
		pitch?.median && tile("Pitch", `${Math.round(pitch.median)} Hz`, `${Math.round(pitch.low)}–${Math.round(pitch.high)} Hz`),
		a.language && tile("Language", languageName(a.language), has(a.language_confidence) ? `${percent(a.language_confidence)} sure` : ""),
		has(q.duration) && tile("Duration", seconds(q.duration), `${q.sample_rate / 1000} kHz, ${q.channels === 1 ? "mono" : `${q.channels} channels`}${a.format ? `, ${a.format}` : ""}`),
	].filter(Boolean));
	notes($("ana-notes"), [...(q.problems || []).map(p => typeof p === "string" ? { message: p } : p), ...(a.notes || [])]);
	showBands(a.spectrum?.bands || []);
	showQuality(q);
	if (!q.dnsmos)
		rate(clip);
}

const bar = (name, share, text) => el("div", { class: "bar-row" }, el("span", {}, name),
	meter(name, share, text), el("span", { class: "num" }, text));

function showQuality(q) {
	const d = q.dnsmos, rows = d ? [["Overall", d.overall], ["Speech itself", d.signal], ["Background", d.background], ["As listeners rate (P.808)", d.p808]] : [["Estimated from levels", q.score]];
	$("ana-score").textContent = q.score ? `${fixed(q.score)} of 5${d ? "" : ", estimated"}` : "";
	$("ana-quality").replaceChildren(...rows.filter(([, v]) => v).map(([name, v]) => bar(name, (v - 1) / 4, fixed(v, 2))));
}

function showBands(bands) {
	const hertz = f => f >= 1000 ? `${f / 1000} kHz` : `${Math.round(f)} Hz`;
	$("ana-bands").replaceChildren(...bands.map(b => bar(hertz(b.center), (b.level + 80) / 80, fixed(b.level, 0))));
}

// The listener's rating takes a model of its own, so it is asked for apart.
async function rate(file) {
	try {
		const quality = await (await call("/audio/quality", { form: { file } })).json();
		if (clip === file)
			showQuality(quality);
	} catch {
		// the measured score stays
	}
}

/* ---- enhancing ---- */

async function enhance() {
	const file = clip;
	busy($("enh-notice"), "Enhancing");
	$("enh-run").disabled = true;
	try {
		const form = { file, denoise: $("enh-denoise").checked, declip: $("enh-declip").checked, normalise: $("enh-loudness").checked, loudness: -16 };
		const blob = await (await call("/audio/enhance", { form })).blob();
		if (clip !== file)
			return;
		enhanced = { blob, samples: await decode(blob) };
		clear($("enh-notice"));
		$("enh-out").hidden = false;
		document.querySelector("[name=enh-side][value=after]").checked = true;
		compared.load(blob, enhanced.samples);
		$("enh-downloads").replaceChildren(el("button", { type: "button", class: "ghost", onclick: () => download(blob, file.name.replace(/\.[^.]*$/, "") + "-enhanced.wav") }, "Download"));
	} catch (error) {
		fail($("enh-notice"), error);
	} finally {
		$("enh-run").disabled = false;
	}
}

// At the same position, so that the ear can compare.
function swapSide(event) {
	if (event.target.value === "before")
		compared.swap(clip, samples);
	else
		compared.swap(enhanced.blob, enhanced.samples);
}
