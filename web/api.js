// Requests to this server. A failure is a Problem: what the server said, in words, with the request's id.

export class Problem extends Error {
	constructor(status, body, id) {
		super(body.detail || body.title || `The server answered ${status}.`);
		Object.assign(this, { status, code: body.code || "", field: body.field || "", id: body.request_id || id || "" });
	}

	// The route is not part of this server, rather than a thing of its not being there.
	get isMissing() {
		return this.status === 404 && /openapi\.json lists/.test(this.message) || this.status === 405;
	}
}

const listeners = new Set();
let waiting = null;

export const key = {
	get value() { return sessionStorage.getItem("api-key") || ""; },
	set value(text) {
		if (text)
			sessionStorage.setItem("api-key", text);
		else
			sessionStorage.removeItem("api-key");
		listeners.forEach(f => f());
	},
	onchange(f) { listeners.add(f); },
	// Set by the shell: asks the user; resolves to whether there is a key to try with.
	ask: async () => false,
};

// Relative to where the page lies, so that a proxy may serve it below a path.
export const address = path => new URL(path.replace(/^\//, ""), document.baseURI.replace(/[#?].*$/, ""));

export function socketAddress(path) {
	const url = address(path);
	url.protocol = url.protocol === "https:" ? "wss:" : "ws:";
	if (key.value)
		url.searchParams.set("api_key", key.value); // a browser's socket can set no header
	return url.href;
}

async function problemOf(response) {
	const id = response.headers.get("X-Request-Id");
	const text = await response.text();
	try {
		return new Problem(response.status, JSON.parse(text), id);
	} catch {
		return new Problem(response.status, {}, id);
	}
}

async function send(path, options) {
	const headers = new Headers(options.headers);
	const tried = key.value;
	if (tried)
		headers.set("Authorization", "Bearer " + tried);
	try {
		return [await fetch(address(path), { ...options, headers, cache: "no-store" }), tried];
	} catch (error) {
		if (error.name === "AbortError")
			throw error;
		throw new Problem(0, { detail: "The server cannot be reached." });
	}
}

// The response, if it is a good one. On 401 the user is asked for a key, once for all requests that wait, unless quiet.
export async function call(path, { quiet = false, json, form, ...options } = {}) {
	if (json !== undefined)
		options = { method: "POST", ...options, body: JSON.stringify(json), headers: { "Content-Type": "application/json", ...options.headers } };
	if (form)
		options = { method: "POST", ...options, body: toForm(form) };
	let [response, tried] = await send(path, options);
	while (response.status === 401 && !quiet) {
		if (tried === key.value) {
			waiting ??= key.ask(Boolean(tried)).finally(() => { waiting = null; });
			if (!await waiting)
				break;
		}
		[response, tried] = await send(path, options);
	}
	if (!response.ok)
		throw await problemOf(response);
	return response;
}

export const getJson = async (path, options) => (await call(path, options)).json();

function toForm(fields) {
	const form = new FormData();
	for (const [name, value] of Object.entries(fields)) {
		if (value === undefined || value === null || value === "")
			continue;
		if (value instanceof Blob)
			form.append(name, value, value.name || "recording.wav");
		else
			form.append(name, String(value));
	}
	return form;
}
