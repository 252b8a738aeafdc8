// A player that shows what it plays: waveform, words or spans under it, and for analysis the mel spectrogram.
import { clock, color, el, prepare, redraw } from "./ui.js";
import { melSpectrogram, peaks, RATE } from "./sound.js";

const WINDOW = 30; // seconds that are drawn at once; of a longer clip those round the position, below an overview of all of it

// Dark to light by luminance, readable in both themes and for the colour-blind.
const heat = [[12, 16, 24], [16, 52, 72], [12, 104, 108], [60, 158, 110], [176, 200, 84], [252, 240, 170]];
const shades = Uint8ClampedArray.from({ length: 256 * 4 }, (_, i) => {
	const at = (i >> 2) / 255 * (heat.length - 1), k = Math.min(heat.length - 2, Math.floor(at)), c = i & 3;
	return c === 3 ? 255 : heat[k][c] + (heat[k + 1][c] - heat[k][c]) * (at - k);
});

export class Player {
	constructor(host, { label, mel = false } = {}) {
		this.host = host;
		this.words = [];
		this.spans = [];
		this.ontime = null;
		this.audio = el("audio", { preload: "auto" });
		this.button = el("button", { type: "button", class: "play", aria: { label: "Play" }, onclick: () => this.toggle() });
		this.time = el("span", { class: "clock" }, "0:00");
		this.overview = el("canvas", { class: "overview", hidden: true, aria: { hidden: "true" } });
		this.wave = el("canvas", { class: "wave", aria: { hidden: "true" } });
		this.mel = mel ? el("canvas", { class: "mel", role: "img", aria: { label: "Mel spectrogram" } }) : null;
		this.slider = el("div", { class: "seek", role: "slider", tabindex: "0", aria: { label: label || "Position", valuemin: "0" } }, this.overview, this.wave);
		host.replaceChildren(el("div", { class: "player" }, this.button, this.slider, this.time), ...(this.mel ? [this.melBox()] : []), this.audio);
		this.listen();
		this.showButton();
	}

	melBox() {
		return el("div", { class: "mel-box" }, this.mel, el("div", { class: "mel-scale", aria: { hidden: "true" } }, el("span", {}, "8 kHz"), el("span", {}, "0")));
	}

	listen() {
		for (const event of ["play", "pause", "ended"])
			this.audio.addEventListener(event, () => { this.showButton(); this.tick(); });
		this.audio.addEventListener("durationchange", () => this.draw());
		this.audio.addEventListener("seeked", () => this.draw());
		const seek = (event, canvas, from, length) => {
			const box = canvas.getBoundingClientRect();
			this.seek(from + length * Math.max(0, Math.min(1, (event.clientX - box.left) / box.width)));
		};
		const drag = (canvas, range) => {
			canvas.addEventListener("pointerdown", e => { canvas.setPointerCapture(e.pointerId); seek(e, canvas, ...range()); });
			canvas.addEventListener("pointermove", e => { if (e.buttons) seek(e, canvas, ...range()); });
		};
		drag(this.overview, () => [0, this.duration]);
		drag(this.wave, () => [this.from, this.shown]);
		this.slider.addEventListener("keydown", e => {
			const to = { ArrowLeft: -1, ArrowDown: -1, ArrowRight: 1, ArrowUp: 1, PageDown: -10, PageUp: 10, Home: -Infinity, End: Infinity }[e.key];
			if (e.key === " " || e.key === "Enter")
				this.toggle();
			else if (to)
				this.seek(this.audio.currentTime + to);
			else
				return;
			e.preventDefault();
		});
		for (const canvas of [this.wave, this.overview, this.mel])
			if (canvas)
				redraw(canvas, () => this.draw());
	}

	// samples: 16 kHz mono, or null where the browser cannot decode it.
	load(blob, samples) {
		URL.revokeObjectURL(this.url);
		this.url = URL.createObjectURL(blob);
		this.samples = samples;
		this.spectrum = null;
		this.words = [];
		this.spans = [];
		this.audio.src = this.url;
		this.host.hidden = false;
		this.draw();
	}

	// The same position in another sound: before and after.
	swap(blob, samples) {
		const { currentTime, paused } = this.audio;
		this.load(blob, samples);
		this.audio.currentTime = currentTime;
		if (!paused)
			this.audio.play();
	}

	setWords(words) { this.words = words || []; this.draw(); }
	setSpans(spans) { this.spans = spans || []; this.draw(); }

	get duration() {
		const told = this.audio.duration;
		return Number.isFinite(told) && told > 0 ? told : this.samples ? this.samples.length / RATE : 0;
	}
	get shown() { return Math.min(WINDOW, this.duration) || 1; }
	get from() { return Math.max(0, Math.min(this.duration - this.shown, this.audio.currentTime - this.shown / 3)); }

	toggle() { this.audio.paused ? this.audio.play() : this.audio.pause(); }
	seek(to) { this.audio.currentTime = Math.max(0, Math.min(this.duration, to)); this.draw(); }
	playFrom(to) { this.seek(to); this.audio.play(); }

	showButton() {
		const playing = !this.audio.paused && !this.audio.ended;
		this.button.setAttribute("aria-label", playing ? "Pause" : "Play");
		this.button.dataset.state = playing ? "playing" : "paused";
	}

	tick() {
		cancelAnimationFrame(this.frame);
		this.draw();
		if (!this.audio.paused && !this.audio.ended)
			this.frame = requestAnimationFrame(() => this.tick());
	}

	draw() {
		const now = this.audio.currentTime, duration = this.duration, isLong = duration > WINDOW;
		this.time.textContent = `${clock(now)} / ${clock(duration)}`;
		this.slider.setAttribute("aria-valuemax", duration.toFixed(1));
		this.slider.setAttribute("aria-valuenow", now.toFixed(1));
		this.slider.setAttribute("aria-valuetext", `${clock(now)} of ${clock(duration)}`);
		this.overview.hidden = !isLong;
		this.wave.classList.toggle("worded", this.words.length > 0);
		if (!this.wave.clientWidth)
			return;
		if (isLong)
			this.drawWave(this.overview, 0, duration, false);
		this.drawWave(this.wave, this.from, this.shown, true);
		if (this.mel)
			this.drawMel();
		this.ontime?.(now);
	}

	drawWave(canvas, from, length, detailed) {
		const { context: c, width, height } = prepare(canvas);
		const lower = detailed && this.words.length ? 36 : 0, middle = (height - lower) / 2, x = t => (t - from) / length * width;
		c.fillStyle = color("span");
		for (const span of this.spans)
			c.fillRect(x(span.start), 0, x(span.end) - x(span.start), height - lower);
		const current = detailed && this.words.find(w => this.audio.currentTime >= w.start && this.audio.currentTime < w.end);
		if (current) {
			c.fillStyle = color("span");
			c.fillRect(x(current.start), 0, x(current.end) - x(current.start), height - lower);
		}
		if (this.samples) {
			const bars = Math.floor(width / 3), { low, high } = this.peaksOf(canvas, from, length, bars), played = x(this.audio.currentTime);
			const [before, after] = [color("accent"), color("wave")];
			for (let i = 0; i < bars; i++) {
				const top = Math.max(1, high[i] * middle * 0.95), bottom = Math.max(1, -low[i] * middle * 0.95);
				c.fillStyle = i * 3 < played ? before : after;
				c.fillRect(i * 3, middle - top, 2, top + bottom);
			}
		}
		if (lower)
			this.drawWords(c, x, width, height, current);
		c.fillStyle = color("accent");
		c.fillRect(Math.min(width - 1, x(this.audio.currentTime)), 0, 1, height - lower);
	}

	// They are asked for sixty times a second, and change only with the view.
	peaksOf(canvas, from, length, bars) {
		const key = `${from} ${length} ${bars}`;
		if (canvas.peaksKey !== key || canvas.peaksOf !== this.samples)
			Object.assign(canvas, { peaksKey: key, peaksOf: this.samples, peaks: peaks(this.samples, from * RATE, (from + length) * RATE, bars) });
		return canvas.peaks;
	}

	// In two rows, so that short words beside each other both have room.
	drawWords(c, x, width, height, current) {
		c.font = `11px ${getComputedStyle(document.body).fontFamily}`;
		c.textBaseline = "alphabetic";
		const free = [0, 0];
		for (const word of this.words) {
			const left = x(word.start), right = x(word.end);
			if (right < 0 || left > width)
				continue;
			c.fillStyle = word === current ? color("accent") : color("line-strong");
			c.fillRect(left, height - 32, Math.max(1, right - left - 1), 2);
			const size = c.measureText(word.word).width, row = free.findIndex(end => left >= end);
			if (row < 0 || left + size > width)
				continue;
			c.fillStyle = word === current ? color("accent") : color("muted");
			c.fillText(word.word, left, height - 18 + row * 14);
			free[row] = left + size + 6;
		}
	}

	drawMel() {
		const { context: c, width, height } = prepare(this.mel);
		if (!this.samples || width < 1)
			return;
		const columns = Math.min(1200, Math.round(width));
		if (!this.spectrum || this.spectrum.columns !== columns)
			this.spectrum = melSpectrogram(this.samples, columns);
		const { bands, levels } = this.spectrum, image = new ImageData(columns, bands);
		for (let col = 0; col < columns; col++)
			for (let b = 0; b < bands; b++) {
				const at = ((bands - 1 - b) * columns + col) * 4, level = levels[col * bands + b] * 4;
				image.data.set(shades.subarray(level, level + 4), at);
			}
		this.picture ??= document.createElement("canvas");
		this.picture.width = columns;
		this.picture.height = bands;
		this.picture.getContext("2d").putImageData(image, 0, 0);
		c.drawImage(this.picture, 0, 0, width, height);
		c.fillStyle = "#fff";
		c.fillRect(Math.min(width - 1, this.audio.currentTime / (this.duration || 1) * width), 0, 1, height);
	}
}
