// What the server is doing, as lines that move; and the usage by day.
import { call, getJson } from "./api.js";
import { $, bytes, clear, color, download, el, fail, fixed, percent, prepare, redraw, seconds } from "./ui.js";

const EVERY = 2000, KEPT = 150; // milliseconds between looks; looks that are drawn at most: five minutes
const LEAST = 30;               // looks that the width stands for at first
const SPAN = 10;                // looks over which rates and quantiles are taken
const looks = [];
let timer = null, charts = [], own = 0;

/* ---- reading a look ---- */

const samplesOf = (look, name) => look?.metrics["sonant_" + name]?.samples || [];
const sum = (look, name, keep = () => true) => samplesOf(look, name).filter(s => keep(s.labels)).reduce((n, s) => n + (s.value ?? s.count), 0);
const gauge = (look, ...names) => {
	const name = names.find(n => samplesOf(look, n).length);
	return name ? sum(look, name) : undefined;
};

// The page's own polling is no load that anyone wants to see.
const isWork = labels => /^\/(stt|tts|v1|jobs)|^\/audio\/(analyze|convert|enhance|quality)/.test(labels.route || "");

const before = i => looks[Math.max(0, i - SPAN)];
const rate = (i, f) => i ? Math.max(0, f(looks[i]) - f(before(i))) / (looks[i].uptime - before(i).uptime) : undefined;

// A quantile of what came in between two looks, from the differences of cumulative buckets [[most, count], ...].
function quantile(i, name, share, keep, since = before(i)) {
	const counts = new Map();
	let count = 0;
	for (const [look, sign] of [[looks[i], 1], [since, -1]])
		for (const s of samplesOf(look, name).filter(x => !keep || keep(x.labels))) {
			count += sign * s.count;
			for (const [most, n] of s.buckets)
				counts.set(most, (counts.get(most) || 0) + sign * n);
		}
	if (count <= 0)
		return undefined;
	let low = 0, below = 0;
	for (const [most, n] of [...counts].sort((a, b) => a[0] - b[0])) {
		if (n >= share * count)
			return low + (most - low) * (share * count - below) / Math.max(1, n - below);
		[low, below] = [most, n];
	}
	return low;
}

const quantiles = (name, keep) => [0.5, 0.95].map(share => [`p${share * 100}`, i => quantile(i, name, share, keep), i => quantile(i, name, share, keep, null)]);

function hitRate(i) {
	const hits = l => sum(l, "cache_hits_total"), misses = l => sum(l, "cache_misses_total");
	if (!samplesOf(looks[i], "cache_hits_total").length)
		return undefined;
	const total = hits(looks[i]) + misses(looks[i]);
	return total ? hits(looks[i]) / total : 0;
}

const sets = [
	{ title: "Requests", unit: n => `${fixed(n, n < 10 ? 1 : 0)} /s`, lines: [["", i => rate(i, l => sum(l, "requests_total", isWork))]] },
	{ title: "Latency", unit: seconds, lines: quantiles("request_seconds", isWork) },
	{ title: "First text", unit: seconds, lines: quantiles("first_text_seconds") },
	{ title: "First audio", unit: seconds, lines: quantiles("first_audio_seconds") },
	{ title: "In hand", unit: n => String(Math.round(n)), whole: true, lines: [["requests", i => Math.max(0, gauge(looks[i], "requests_open") - own)], ["live sessions", i => gauge(looks[i], "sockets", "engine_sessions")]] },
	{ title: "Waiting", unit: n => String(Math.round(n)), whole: true, lines: [["", i => gauge(looks[i], "queue_waiting")]] },
	{ title: "Memory", unit: bytes, lines: [["", i => gauge(looks[i], "process_resident_bytes")]] },
	{ title: "Cache hits", unit: percent, most: 1, lines: [["", hitRate]] },
];

/* ---- drawing ---- */

function makeChart(set) {
	const values = set.lines.map(([name], k) => el("span", { class: `value line-${k}` }, name ? el("small", {}, name) : null, el("b", {}, "–")));
	const canvas = el("canvas", { class: "chart", role: "img" });
	const since = el("i", { hidden: true, title: "Nothing in the last twenty seconds: of all the time since the start" }, "overall");
	const card = el("div", { class: "card chart-card" }, el("h2", {}, set.title, since), el("div", { class: "values" }, ...values), canvas);
	const chart = { set, card, values, since, canvas };
	redraw(canvas, () => drawChart(chart));
	return chart;
}

// Where nothing happened lately, the number is that of all the time.
function showValues({ set, values, since }, series) {
	const last = looks.length - 1;
	since.hidden = true;
	set.lines.forEach(([, , whole], k) => {
		let value = series[k].at(-1);
		if (value === undefined && whole && last >= 0) {
			value = whole(last);
			since.hidden = value === undefined;
		}
		values[k].lastElementChild.textContent = value === undefined ? "–" : set.unit(value);
	});
}

function drawChart(chart) {
	const { set, values, canvas } = chart, series = set.lines.map(([, f]) => looks.map((_, i) => f(i)).slice(-KEPT));
	showValues(chart, series);
	canvas.setAttribute("aria-label", `${set.title}: ${set.lines.map(([name], k) => `${name} ${values[k].lastElementChild.textContent}`.trim()).join(", ")}`);
	const { context: c, width, height } = prepare(canvas);
	const known = series.flat().filter(v => v !== undefined), most = set.most || Math.max(...known, set.whole ? 1 : 0) * 1.15 || 1;
	const shown = Math.max(LEAST, series[0].length);
	const x = i => width - 1 - (series[0].length - 1 - i) * (width - 2) / (shown - 1), y = v => height - 3 - v / most * (height - 8);
	c.fillStyle = color("line");
	c.fillRect(0, height - 1, width, 1);
	series.forEach((line, k) => drawLine(c, line, x, y, k, height));
}

function drawLine(c, line, x, y, k, height) {
	c.strokeStyle = color(k ? "second" : "accent");
	c.fillStyle = color("accent-soft");
	c.lineWidth = 1.5;
	let from = -1;
	for (let i = 0; i <= line.length; i++) {
		if (line[i] !== undefined) {
			if (from < 0)
				from = i;
			continue;
		}
		if (from >= 0)
			strokeRun(c, line, from, i, x, y, k, height);
		from = -1;
	}
}

function strokeRun(c, line, from, to, x, y, k, height) {
	c.beginPath();
	for (let i = from; i < to; i++)
		c.lineTo(x(i), y(line[i]));
	if (to === from + 1)
		c.lineTo(x(from) - 2, y(line[from]));
	c.stroke();
	if (k)
		return;
	c.lineTo(x(to - 1), height);
	c.lineTo(x(from), height);
	c.fill();
}

/* ---- looking ---- */

export function init() {
	charts = sets.map(makeChart);
	$("met-charts").replaceChildren(...charts.map(c => c.card));
	$("usage-csv").addEventListener("click", saveUsage);
}

export function show() {
	look();
	showUsage();
	timer = setInterval(() => { if (!document.hidden) look(); }, EVERY);
}

export function hide() { clearInterval(timer); }

async function look() {
	try {
		const now = await getJson("/audio/metrics");
		own = 1; // this very request was in hand
		if (looks.length && now.uptime < looks.at(-1).uptime)
			looks.length = 0; // the server was started anew
		looks.push(now);
		looks.splice(0, looks.length - KEPT - SPAN);
		clear($("met-notice"));
		charts.forEach(drawChart);
	} catch (error) {
		fail($("met-notice"), error);
	}
}

async function showUsage() {
	try {
		const { usage } = await getJson("/audio/usage?days=30");
		const number = n => (n || 0).toLocaleString("en");
		const cell = (label, text) => el("td", { class: "num", data: { label } }, text);
		$("usage-table").tBodies[0].replaceChildren(...(usage.length ? usage.map(u => el("tr", {}, el("th", { scope: "row" }, u.day), el("td", { data: { label: "Key" } }, u.key || "anonymous"),
			cell("Requests", number(u.requests)), cell("Failed", number(u.failed)), cell("Audio in", u.audio_seconds ? seconds(u.audio_seconds) : "–"),
			cell("Characters", number(u.characters)), cell("Speech out", u.speech_seconds ? seconds(u.speech_seconds) : "–")))
			: [el("tr", {}, el("td", { colspan: 7, class: "muted" }, "Nothing was counted in the last 30 days"))]));
		clear($("usage-notice"));
	} catch (error) {
		fail($("usage-notice"), error);
	}
}

async function saveUsage() {
	try {
		download(await (await call("/audio/usage?days=365&format=csv")).blob(), "usage.csv");
	} catch (error) {
		fail($("usage-notice"), error);
	}
}
