"""Live replies against the document that the server itself gives out: check_reply(server, "POST", "/stt/transcribe", reply) fails where
the status, the media type, a header or the JSON is not what /openapi.json declares."""
import re

import jsonschema

documents = {}


def document_of(server):
    if server.url not in documents:
        documents[server.url] = server.get("/openapi.json").json
    return documents[server.url]


def template_of(document, path):
    """The declared path, whose last parameter may hold slashes."""
    path = path.split("?")[0]
    if path in document["paths"]:
        return path
    for template in document["paths"]:
        *parts, last = re.split(r"\{[^}]+\}", template)
        pattern = "[^/]+".join(re.escape(p) for p in parts) + ("" if not parts else ".+" if not last else "[^/]+") + re.escape(last)
        if re.fullmatch(pattern, path):
            return template
    return None


def resolve(document, node):
    while "$ref" in node:
        at = document
        for step in node["$ref"].removeprefix("#/").split("/"):
            at = at[step]
        node = at
    return node


def schema_of(document, method, path, status, media):
    """The schema of a reply; fails where none is declared."""
    template = template_of(document, path)
    assert template, f"no path {path} is declared"
    operation = document["paths"][template][method.lower()]
    response = operation["responses"].get(str(status)) or operation["responses"].get("default")
    assert response, f"{method} {template} declares no reply {status}"
    content = resolve(document, response).get("content", {})
    for kind in (media, media.split("/")[0] + "/*"):
        if kind in content:
            return content[kind]["schema"]
    raise AssertionError(f"{method} {template} {status} declares {list(content)}, not {media}")


def check_json(document, schema, value):
    """`schema` may refer into the document."""
    validator = jsonschema.Draft202012Validator({**schema, "components": document["components"]})
    mistakes = [f"{'.'.join(map(str, e.absolute_path)) or 'it'}: {e.message[:300]}" for e in validator.iter_errors(value)]
    assert not mistakes, mistakes


def check_reply(server, method, path, reply):
    """reply: conftest.Reply. Returns its JSON, or its text where it is none."""
    document = document_of(server)
    media = reply.headers.get("content-type", "").split(";")[0].strip()
    assert reply.headers.get("x-request-id"), "no X-Request-Id"
    schema = schema_of(document, method, path, reply.status, media)
    if not media.endswith("json"):
        return reply.body if media.startswith("audio/") or media == "application/octet-stream" else reply.text
    value = reply.json
    check_json(document, schema, value)
    if "request_id" in value:
        assert value["request_id"] == reply.headers["x-request-id"]
    return value
