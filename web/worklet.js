// The microphone's samples as 16-bit pieces of about 100 ms, at the rate that was asked for, with the loudest sample of each.
class Capture extends AudioWorkletProcessor {
	constructor({ processorOptions: { rate } }) {
		super();
		this.step = sampleRate / rate;
		this.size = Math.round(rate / 10);
		this.start();
		this.phase = 0; // of the next sample that is wanted, in samples of the input
		this.sum = 0;
		this.count = 0;
		this.port.onmessage = () => {
			this.send();
			this.port.postMessage({ ended: true });
		};
	}

	start() {
		this.piece = new Int16Array(this.size);
		this.fill = 0;
		this.peak = 0;
	}

	send() {
		if (this.fill)
			this.port.postMessage({ samples: this.piece.slice(0, this.fill), peak: this.peak });
		this.start();
	}

	put(value) {
		this.peak = Math.max(this.peak, Math.abs(value));
		this.piece[this.fill++] = Math.max(-32768, Math.min(32767, Math.round(value * 32768)));
		if (this.fill === this.size)
			this.send();
	}

	// A mean over each step is filter enough where the browser does not resample to the context's rate itself.
	process([[samples]]) {
		for (const value of samples || []) {
			this.sum += value;
			this.count++;
			if (++this.phase >= this.step) {
				this.phase -= this.step;
				this.put(this.sum / this.count);
				this.sum = this.count = 0;
			}
		}
		return true;
	}
}
registerProcessor("capture", Capture);
