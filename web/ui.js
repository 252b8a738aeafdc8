// Small things that every section uses: elements, numbers in words, notices, drop zones.

export const $ = id => document.getElementById(id);

// el("button", { class: "ghost", onclick: f, aria: { label: "Close" } }, "text", child)
export function el(name, props = {}, ...children) {
	const node = document.createElement(name);
	for (const [key, value] of Object.entries(props)) {
		if (value === undefined || value === null || value === false)
			continue;
		if (key.startsWith("on"))
			node.addEventListener(key.slice(2), value);
		else if (key === "aria" || key === "data")
			for (const [k, v] of Object.entries(value))
				node.setAttribute(`${key}-${k}`, v);
		else
			node.setAttribute(key, value === true ? "" : value);
	}
	node.append(...children.filter(c => c !== null && c !== undefined));
	return node;
}

/* ---- numbers ---- */

export const clock = s => `${Math.floor(s / 60)}:${String(Math.floor(s % 60)).padStart(2, "0")}`;
export const percent = x => `${Math.round(x * 100)} %`;
export const fixed = (x, n = 1) => Number(x).toFixed(n).replace("-", "−");

export function seconds(s) {
	if (s < 1)
		return `${Math.round(s * 1000)} ms`;
	return s < 60 ? `${s < 10 ? s.toFixed(2) : s.toFixed(1)} s` : s < 3600 ? `${Math.floor(s / 60)} min ${Math.round(s % 60)} s` : `${(s / 3600).toFixed(1)} h`;
}

export function bytes(n) {
	const units = ["B", "KB", "MB", "GB", "TB"];
	let i = 0;
	while (n >= 1024 && i < units.length - 1) {
		n /= 1024;
		i++;
	}
	return `${n < 10 && i ? n.toFixed(1) : Math.round(n)} ${units[i]}`;
}

const names = typeof Intl.DisplayNames === "function" ? new Intl.DisplayNames(["en"], { type: "language", fallback: "none" }) : null;

export function languageName(code) {
	try {
		return names?.of(code.replace("_", "-")) || code;
	} catch {
		return code;
	}
}

/* ---- notices ---- */

// In a slot: nothing, work in progress, or a failure with the request's id.
export function clear(slot) { slot.replaceChildren(); }

export function busy(slot, text) {
	slot.replaceChildren(el("p", { class: "notice" }, el("i", { class: "spinner", aria: { hidden: "true" } }), text));
}

export function say(slot, text) { slot.replaceChildren(el("p", { class: "notice good" }, text)); }

export function fail(slot, error) {
	if (error.name === "AbortError")
		return clear(slot);
	if (!(error.status >= 0))
		console.warn(error);
	const small = [error.field ? `Field: ${error.field}` : "", error.code || "", error.id ? `Request ${error.id}` : ""].filter(Boolean).join(" · ");
	const text = error.isMissing ? "This server does not offer that." : sentence(error.message);
	slot.replaceChildren(el("div", { class: "notice bad", role: "alert" }, el("p", {}, text), small ? el("p", { class: "small" }, small) : null));
}

function sentence(text) {
	text = text.charAt(0).toUpperCase() + text.slice(1);
	return /[.!?]$/.test(text) ? text : text + ".";
}

/* ---- facts and notes ---- */

// [[term, description], ...] without those that are empty.
export function facts(list, pairs) {
	list.replaceChildren(...pairs.filter(([, value]) => value !== undefined && value !== null && value !== "")
		.map(([term, value]) => el("div", {}, el("dt", {}, term), el("dd", {}, value))));
}

export function notes(list, entries) {
	list.replaceChildren(...(entries || []).map(n => el("li", {}, sentence(n.message || n.code))));
	list.hidden = !entries?.length;
}

/* ---- meters ---- */

// share: 0 to 1; text: what a screen reader says.
export function setMeter(meter, share, text) {
	const part = Math.round(100 * Math.max(0, Math.min(1, share)));
	meter.firstElementChild.style.width = `${part}%`;
	meter.setAttribute("aria-valuenow", part);
	if (text)
		meter.setAttribute("aria-valuetext", text);
}

export function meter(label, share, text) {
	const node = el("span", { class: "meter", role: "meter", aria: { label, valuemin: 0, valuemax: 100 } }, el("i"));
	setMeter(node, share, text);
	return node;
}

/* ---- choosing ---- */

export function fillSelect(select, options, keep = select.value) {
	select.replaceChildren(...options.map(([value, text]) => el("option", { value }, text)));
	if (options.some(([value]) => value === keep))
		select.value = keep;
}

export function dropZone(zone, input, take) {
	let depth = 0; // of enter and leave events, which children send too
	const over = on => zone.classList.toggle("over", on);
	zone.addEventListener("dragenter", e => { e.preventDefault(); over(++depth > 0); });
	zone.addEventListener("dragleave", () => over(--depth > 0));
	zone.addEventListener("dragover", e => e.preventDefault());
	zone.addEventListener("drop", e => {
		e.preventDefault();
		over(false);
		depth = 0;
		if (e.dataTransfer.files[0])
			take(e.dataTransfer.files[0]);
	});
	input.addEventListener("change", () => {
		if (input.files[0])
			take(input.files[0]);
		input.value = "";
	});
}

export function download(blob, name) {
	const url = URL.createObjectURL(blob);
	el("a", { href: url, download: name }).click();
	setTimeout(() => URL.revokeObjectURL(url), 60000);
}

// What a custom property is in the theme of the moment: a canvas cannot read var() or light-dark().
const probe = el("i", { hidden: true });
export function color(name) {
	if (!probe.isConnected)
		document.body.append(probe);
	probe.style.color = `var(--${name})`;
	return getComputedStyle(probe).color;
}

// A canvas of the element's size in the screen's pixels; context in CSS pixels.
export function prepare(canvas) {
	const { clientWidth: width, clientHeight: height } = canvas;
	const scale = devicePixelRatio || 1;
	if (canvas.width !== Math.round(width * scale) || canvas.height !== Math.round(height * scale)) {
		canvas.width = Math.round(width * scale);
		canvas.height = Math.round(height * scale);
	}
	const context = canvas.getContext("2d");
	context.setTransform(scale, 0, 0, scale, 0, 0);
	context.clearRect(0, 0, width, height);
	return { context, width, height };
}

// f(element) now, when it changes size, and when the theme changes.
const redrawn = new Set();
export function redraw(canvas, f) {
	new ResizeObserver(() => f()).observe(canvas);
	redrawn.add(f);
}
export function themeChanged() { redrawn.forEach(f => f()); }
