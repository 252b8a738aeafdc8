// What the server is doing, as lines that move; and the usage by day.
import { call, getJson } from "./api.js";
import { $, bytes, clear, color, download, el, fail, fixed, percent, prepare, redraw, seconds } from "./ui.js";

const EVERY = 2000, KEPT = 150; // milliseconds between looks; points of a line at most: five minutes
const LEAST = 30;               // points that the width stands for at first
const SPAN = 10;                // looks over which rates and quantiles are taken
const looks = [];               // the last ones; what is drawn is computed once
let timer = null, isShown = false, charts = [];

/* ---- reading a look ---- */

const samplesOf = (look, name) => look?.metrics["sonant_" + name]?.samples || [];
const sum = (look, name, keep = () => true) => samplesOf(look, name).filter(s => keep(s.labels)).reduce((n, s) => n + (s.value ?? s.count), 0);
// The page's own polling is no load that anyone wants to see.
const isWork = labels => /^\/(stt|tts|v1|jobs)|^\/audio\/(analyze|convert|enhance|quality)/.test(labels.route || "");

const rate = (now, before, f) => before ? Math.max(0, f(now) - f(before)) / (now.uptime - before.uptime) : undefined;

// A quantile of what came in between two looks (before: null: since the start), from differences of cumulative buckets [[most, count], ...].
function quantile(now, before, name, share, keep) {
	const counts = new Map();
	let count = 0;
	for (const [look, sign] of [[now, 1], [before, -1]])
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

// Name, value of now, and value of all the time for when nothing happened lately.
const quantiles = (name, keep) => [0.5, 0.95].map(share => [`p${share * 100}`, (now, before) => before ? quantile(now, before, name, share, keep) : undefined,
	now => quantile(now, null, name, share, keep)]);

function hitRate(now, before) {
	const count = name => sum(now, name) - (before ? sum(before, name) : 0);
	const hits = count("cache_hits_total"), all = hits + count("cache_misses_total");
	return all ? hits / all : undefined;
}

const sets = [
	{ title: "Requests", unit: n => `${fixed(n, n < 10 ? 1 : 0)} /s`, lines: [["", (now, before) => rate(now, before, l => sum(l, "requests_total", isWork))]] },
	{ title: "Latency", unit: seconds, lines: quantiles("request_seconds", isWork) },
	{ title: "First text", unit: seconds, lines: quantiles("first_text_seconds") },
	{ title: "First audio", unit: seconds, lines: quantiles("first_audio_seconds") },
	{ title: "In hand", unit: n => String(Math.round(n)), whole: true, lines: [["requests", now => sum(now, "requests_open")], ["live", now => sum(now, "sockets")]] },
	{ title: "Waiting", unit: n => String(Math.round(n)), whole: true, lines: [["", now => sum(now, "queue_waiting")]] },
	{ title: "Memory", unit: bytes, lines: [["", now => sum(now, "process_resident_bytes")]] },
	{ title: "Cache hits", unit: percent, most: 1, lines: [["", (now, before) => before ? hitRate(now, before) : undefined, now => hitRate(now, null)]] },
];

/* ---- drawing ---- */

function makeChart(set) {
	const values = set.lines.map(([name], k) => el("span", { class: `value line-${k}` }, name ? el("small", {}, name) : null, el("b", {}, "–")));
	const canvas = el("canvas", { class: "chart", role: "img" });
	const since = el("i", { hidden: true, title: "Nothing in the last twenty seconds: of all the time since the start" }, "overall");
	const card = el("div", { class: "card chart-card" }, el("h2", {}, set.title, since), el("div", { class: "values" }, ...values), canvas);
	const chart = { set, card, values, since, canvas, series: set.lines.map(() => []) };
	redraw(canvas, () => drawChart(chart));
	return chart;
}

function showValues({ set, values, since, series }) {
	since.hidden = true;
	set.lines.forEach(([, , whole], k) => {
		let value = series[k].at(-1);
		if (value === undefined && whole && looks.length) {
			value = whole(looks.at(-1));
			since.hidden = value === undefined;
		}
		values[k].lastElementChild.textContent = value === undefined ? "–" : set.unit(value);
	});
}

function drawChart(chart) {
	const { set, values, canvas, series } = chart;
	showValues(chart);
	canvas.setAttribute("aria-label", `${set.title}: ${set.lines.map(([name], k) => `${name} ${values[k].lastElementChild.textContent}`.trim()).join(", ")}`);
	const { context: c, width, height } = prepare(canvas);
	const known = series.flat().filter(v => v !== undefined), most = set.most || Math.max(...known, set.whole ? 1 : 0) * 1.15 || 1;
	const count = series[0].length, shown = Math.max(LEAST, count);
	const x = i => width - 1 - (count - 1 - i) * (width - 2) / (shown - 1), y = v => height - 3 - v / most * (height - 8);
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

// Once opened it goes on looking, so that the lines have no holes.
export function show() {
	isShown = true;
	look();
	showUsage();
	timer ??= setInterval(() => { if (!document.hidden) look(); }, EVERY);
}

export function hide() { isShown = false; }

async function look() {
	try {
		const now = await getJson("/audio/metrics", { quiet: !isShown });
		if (looks.length && now.uptime <= looks.at(-1).uptime)
			looks.length = 0; // the server was started anew
		take(now, looks[0]);
		if (isShown)
			clear($("met-notice"));
	} catch (error) {
		if (isShown)
			fail($("met-notice"), error);
	}
}

function take(now, before) {
	looks.push(now);
	if (looks.length > SPAN)
		looks.shift();
	for (const chart of charts) {
		chart.set.lines.forEach(([, f], k) => {
			chart.series[k].push(f(now, before));
			if (chart.series[k].length > KEPT)
				chart.series[k].shift();
		});
		if (isShown)
			drawChart(chart);
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
