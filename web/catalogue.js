// What the server has: models and voices, asked once and again after a change.
import { getJson } from "./api.js";

let pending = null;
const listeners = new Set();

export const catalogue = {
	models: [],
	voices: [],
	onchange(f) { listeners.add(f); },

	// Concurrent callers share one look. Voices are not everywhere: none then.
	load() {
		pending ??= (async () => {
			const [models, voices] = await Promise.all([getJson("/audio/models"), getJson("/tts/voices").catch(error => {
				if (error.status === 401)
					throw error;
				return { voices: [] };
			})]);
			this.models = models.models;
			this.voices = voices.voices;
			listeners.forEach(f => f());
		})().finally(() => { pending = null; });
		return pending;
	},

	of(task) { return this.models.filter(m => m.task === task && m.installed !== false && m.state !== "absent"); },
	find(name) { return this.models.find(m => m.name === name); },
};

// "openai/whisper-base" is known by the part after the slash.
export const shortName = name => name.slice(name.lastIndexOf("/") + 1);
