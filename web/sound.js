// Samples: decoding, WAV, peaks and the mel spectrogram.

export const RATE = 16000;
const MAX_DECODED = 512 * 1024 * 1024; // bytes of a file that is drawn; larger ones are only played and sent

// The file as 16 kHz mono, or null where the browser cannot read it (the server may).
export async function decode(blob) {
	if (blob.size > MAX_DECODED)
		return null;
	try {
		const buffer = await new OfflineAudioContext(1, 1, RATE).decodeAudioData(await blob.arrayBuffer());
		if (buffer.numberOfChannels === 1)
			return buffer.getChannelData(0);
		const mono = new Float32Array(buffer.length);
		for (let c = 0; c < buffer.numberOfChannels; c++) {
			const channel = buffer.getChannelData(c);
			for (let i = 0; i < mono.length; i++)
				mono[i] += channel[i] / buffer.numberOfChannels;
		}
		return mono;
	} catch {
		return null;
	}
}

// Pieces of 16-bit samples as a WAV file.
export function wav(pieces, rate) {
	const size = pieces.reduce((n, p) => n + p.byteLength, 0);
	const header = new DataView(new ArrayBuffer(44));
	const text = (at, s) => [...s].forEach((c, i) => header.setUint8(at + i, c.charCodeAt(0)));
	text(0, "RIFF");
	header.setUint32(4, 36 + size, true);
	text(8, "WAVEfmt ");
	header.setUint32(16, 16, true);
	header.setUint16(20, 1, true);
	header.setUint16(22, 1, true);
	header.setUint32(24, rate, true);
	header.setUint32(28, rate * 2, true);
	header.setUint16(32, 2, true);
	header.setUint16(34, 16, true);
	text(36, "data");
	header.setUint32(40, size, true);
	return new Blob([header, ...pieces], { type: "audio/wav" });
}

// Lowest and highest sample of each of `count` equal parts of [from, to).
export function peaks(samples, from, to, count) {
	const low = new Float32Array(count), high = new Float32Array(count);
	const step = (to - from) / count;
	for (let i = 0; i < count; i++) {
		const end = Math.min(samples.length, Math.max(Math.floor(from + (i + 1) * step), Math.floor(from + i * step) + 1));
		let least = 0, most = 0;
		for (let at = Math.max(0, Math.floor(from + i * step)); at < end; at++) {
			if (samples[at] < least)
				least = samples[at];
			else if (samples[at] > most)
				most = samples[at];
		}
		low[i] = least;
		high[i] = most;
	}
	return { low, high };
}

/* ---- spectrum ---- */

// Radix 2, in place; tables are made once for each size.
function makeFft(n) {
	const cos = Float32Array.from({ length: n / 2 }, (_, i) => Math.cos(2 * Math.PI * i / n));
	const sin = Float32Array.from({ length: n / 2 }, (_, i) => Math.sin(2 * Math.PI * i / n));
	const bits = Math.log2(n);
	const order = Uint16Array.from({ length: n }, (_, i) => {
		let r = 0;
		for (let b = 0; b < bits; b++)
			r |= (i >> b & 1) << bits - 1 - b;
		return r;
	});
	return (re, im) => {
		for (let i = 0; i < n; i++) {
			const j = order[i];
			if (j > i) {
				[re[i], re[j]] = [re[j], re[i]];
				[im[i], im[j]] = [im[j], im[i]];
			}
		}
		for (let size = 2; size <= n; size *= 2) {
			const half = size / 2, stride = n / size;
			for (let base = 0; base < n; base += size)
				for (let k = 0; k < half; k++) {
					const a = base + k, b = a + half, c = cos[k * stride], s = -sin[k * stride];
					const x = re[b] * c - im[b] * s, y = re[b] * s + im[b] * c;
					re[b] = re[a] - x;
					im[b] = im[a] - y;
					re[a] += x;
					im[a] += y;
				}
		}
	};
}

const mel = hz => 2595 * Math.log10(1 + hz / 700);
const hertz = m => 700 * (10 ** (m / 2595) - 1);

function melBands(count, n) {
	const top = mel(RATE / 2);
	const edges = Array.from({ length: count + 2 }, (_, i) => hertz(top * i / (count + 1)) * n / RATE);
	return Array.from({ length: count }, (_, b) => {
		const [left, middle, right] = edges.slice(b, b + 3);
		const weights = [];
		for (let k = Math.ceil(left); k <= Math.min(n / 2, Math.floor(right)); k++)
			weights.push([k, k < middle ? (k - left) / (middle - left) : (right - k) / (right - middle)]);
		return weights.length ? weights : [[Math.round(middle), 1]];
	});
}

// Log-mel levels, [columns][bands] in one array of bytes: 0 is 80 dB below the loudest.
export function melSpectrogram(samples, columns, bands = 80) {
	const n = 512, fft = makeFft(n), filters = melBands(bands, n);
	const window = Float32Array.from({ length: n }, (_, i) => 0.5 - 0.5 * Math.cos(2 * Math.PI * i / n));
	const re = new Float32Array(n), im = new Float32Array(n), power = new Float32Array(n / 2 + 1);
	const levels = new Float32Array(columns * bands);
	let most = -Infinity;
	for (let c = 0; c < columns; c++) {
		const from = Math.round(c * (samples.length - n) / Math.max(1, columns - 1));
		for (let i = 0; i < n; i++)
			re[i] = (samples[from + i] || 0) * window[i];
		im.fill(0);
		fft(re, im);
		for (let k = 0; k <= n / 2; k++)
			power[k] = re[k] * re[k] + im[k] * im[k];
		for (let b = 0; b < bands; b++) {
			const level = 10 * Math.log10(1e-10 + filters[b].reduce((sum, [k, w]) => sum + w * power[k], 0));
			levels[c * bands + b] = level;
			most = Math.max(most, level);
		}
	}
	return { columns, bands, levels: Uint8Array.from(levels, l => Math.max(0, Math.min(255, 255 * (1 + (l - most) / 80)))) };
}
