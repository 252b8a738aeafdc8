// The microphone as 16-bit pieces at 16 kHz.
import { address, Problem } from "./api.js";
import { RATE, wav } from "./sound.js";

const REST = 2; // seconds that the last piece may take

const reasons = {
	NotAllowedError: "The browser does not allow this page to use the microphone.",
	NotFoundError: "There is no microphone.",
	NotReadableError: "The microphone is in use by something else.",
};

// A context at 16 kHz, so that the browser resamples; Firefox refuses to connect a microphone to one, then the worklet does it.
async function connect(stream) {
	for (const options of [{ sampleRate: RATE }, {}]) {
		const context = new AudioContext(options);
		try {
			const source = context.createMediaStreamSource(stream);
			await context.audioWorklet.addModule(address("page/worklet.js"));
			const node = new AudioWorkletNode(context, "capture", { numberOfOutputs: 0, channelCount: 1, channelCountMode: "explicit",
				processorOptions: { rate: RATE } });
			source.connect(node);
			await context.resume();
			return { context, node };
		} catch (error) {
			await context.close();
			if (!options.sampleRate)
				throw error;
		}
	}
}

// take(Int16Array, peak) for each piece. The result: { stop() -> Promise of a WAV blob }.
export async function record(take) {
	if (!navigator.mediaDevices)
		throw new Problem(0, { detail: "Browsers give the microphone only to pages over HTTPS or from this very machine (localhost)." });
	let stream;
	try {
		stream = await navigator.mediaDevices.getUserMedia({ audio: { channelCount: 1, echoCancellation: false, noiseSuppression: false, autoGainControl: true } });
	} catch (error) {
		throw new Problem(0, { detail: reasons[error.name] || `The microphone cannot be used: ${error.message}` });
	}
	const { context, node } = await connect(stream);
	const pieces = [];
	let ended;
	const rest = new Promise(resolve => { ended = resolve; });
	node.port.onmessage = ({ data }) => {
		if (data.ended)
			return ended();
		pieces.push(data.samples);
		take?.(data.samples, data.peak);
	};
	return {
		async stop() {
			node.port.postMessage("end");
			await Promise.race([rest, new Promise(f => setTimeout(f, REST * 1000))]);
			node.port.onmessage = null; // nobody expects what a busy machine gives later
			stream.getTracks().forEach(t => t.stop());
			await context.close();
			return new File([wav(pieces, RATE)], "recording.wav", { type: "audio/wav" });
		},
	};
}
