"""A server that speaks the hub's protocol: listings, files of git and of LFS with redirects to a second host, ranges, tokens, and faults that
tests ask for."""
import hashlib
import http.server
import json
import threading
import time
import urllib.parse

LFS_FROM = 2000  # bytes


def git_hash(data):
    return hashlib.sha1(b"blob %d\0" % len(data) + data).hexdigest()


def sha256(data):
    return hashlib.sha256(data).hexdigest()


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        pass

    def do_HEAD(self):
        self.answer()

    def do_GET(self):
        self.answer()

    def answer(self):
        hub = self.server.hub
        path = urllib.parse.unquote(self.path.partition("?")[0])
        seen = {"method": self.command, "path": path, "range": self.headers.get("Range"), "if_range": self.headers.get("If-Range"),
                "token": self.headers.get("Authorization"), "cdn": self.server.is_cdn, "sent": 0}
        hub.seen.append(seen)
        try:
            if self.server.is_cdn:
                self.send_file(hub.blobs[path.rsplit("/", 1)[-1]], path.rsplit("/", 1)[-1], seen, hub.faults.get(path.split("/")[1]))
            elif path.startswith("/api/models/"):
                self.listing(path)
            else:
                self.resolve(path, seen)
        except (BrokenPipeError, ConnectionResetError):
            self.close_connection = True

    def plain(self, status, body=b"", **headers):
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def refused(self, repo):
        """Whether the repository refuses: its answer was sent."""
        hub = self.server.hub
        if repo in hub.refusals:
            status, headers = hub.refusals[repo]
            self.plain(status, **headers)
        elif repo not in hub.repos:
            self.plain(404 if self.headers.get("Authorization") else 401, X_Error_Code="RepoNotFound")
        elif hub.private.get(repo) and self.headers.get("Authorization") != "Bearer " + hub.private[repo]:
            self.plain(403, X_Error_Code="GatedRepo")
        else:
            return False
        return True

    def listing(self, path):
        hub = self.server.hub
        repo, _, revision = path.removeprefix("/api/models/").partition("/revision/")
        hub.listed.set()
        if hub.raw_listing is not None:
            body, kind = hub.raw_listing
            self.plain(200, body, Content_Type=kind)
        elif not self.refused(repo):
            files, sha = hub.repos[repo], hub.commit(repo)
            if revision not in ("main", sha, hub.tags.get(repo)):
                self.plain(404, X_Error_Code="RevisionNotFound")
                return
            siblings = []
            for name, data in files.items():
                one = {"rfilename": name}
                if not hub.bare:
                    one.update(size=len(data), blobId=git_hash(data))
                    if len(data) >= LFS_FROM:
                        one["lfs"] = {"sha256": sha256(data), "size": len(data), "pointerSize": 134}
                siblings.append(one)
            siblings += [{"rfilename": n} for n in hub.extra_names]
            self.plain(200, json.dumps({"id": repo, "sha": sha, "siblings": siblings}).encode(), Content_Type="application/json")

    def resolve(self, path, seen):
        hub = self.server.hub
        repo, _, rest = path.strip("/").partition("/resolve/")
        commit, _, name = rest.partition("/")
        fault = hub.faults.get(name)
        if fault == "loop":
            self.plain(302, Location=self.path)
        elif self.refused(repo):
            pass
        elif commit != hub.commit(repo) or name not in hub.repos[repo]:
            self.plain(404, X_Error_Code="EntryNotFound")
        elif fault == "html":
            self.plain(200, b"<html>please log in</html>" * 50, Content_Type="text/html; charset=utf-8")
        elif fault == "refused":
            self.send_response(404)
            self.send_header("X-Error-Code", "EntryNotFound")
            self.send_header("Connection", "close")
            self.end_headers()
            self.close_connection = True
            for _ in range(4000):
                self.wfile.write(b"y" * 65536)
                seen["sent"] += 65536
        elif fault == "503":
            self.plain(503, Retry_After="7")
        else:
            data = hub.repos[repo][name]
            if len(data) >= LFS_FROM and hub.cdn:
                hub.blobs[sha256(data)] = data
                self.plain(302, Location=f"{hub.cdn_url}/{name}/{sha256(data)}", X_Linked_Etag=f'"{sha256(data)}"', X_Linked_Size=str(len(data)),
                           X_Repo_Commit=commit)
            else:
                self.send_file(data, sha256(data) if len(data) >= LFS_FROM else git_hash(data), seen, fault)

    def send_file(self, data, tag, seen, fault):
        first = 0
        asked = self.headers.get("Range")
        if asked and fault != "no-range" and self.headers.get("If-Range", f'"{tag}"') == f'"{tag}"':
            first = int(asked.removeprefix("bytes=").rstrip("-"))
        if fault == "wrong":
            data = bytes([data[0] ^ 1]) + data[1:]
        body, length = data[first:], len(data) - first
        if fault == "shorter":
            body, length = body[:len(body) // 2], len(body) // 2
        elif fault == "longer":
            body, length = body + b"x" * 5000, length + 5000
        self.send_response(206 if first else 200)
        if first:
            self.send_header("Content-Range", f"bytes {first}-{len(data) - 1}/{len(data)}")
        self.send_header("ETag", f'"{tag}"')
        if fault != "endless":
            self.send_header("Content-Length", str(length))
        else:
            self.send_header("Connection", "close")
            self.close_connection = True
        self.end_headers()
        if self.command == "HEAD":
            return
        if fault == "endless":
            for _ in range(4000):
                self.wfile.write(b"y" * 65536)
                seen["sent"] += 65536
        elif isinstance(fault, int):  # the connection breaks after so many bytes, once
            self.server.hub.faults = {k: v for k, v in self.server.hub.faults.items() if v != fault}
            self.wfile.write(body[:fault])
            seen["sent"] += len(body[:fault])
            self.close_connection = True
        elif fault == "slow":
            for at in range(0, len(body), 20000):
                self.wfile.write(body[at:at + 20000])
                self.wfile.flush()
                seen["sent"] += len(body[at:at + 20000])
                time.sleep(self.server.hub.pause)
        else:
            self.wfile.write(body)
            seen["sent"] += len(body)


class Hub:
    """repos: name to {file: bytes}; faults: file to "wrong", "shorter", "longer", "endless", "html", "no-range", "loop", "slow", "refused", "503" or a number
    of bytes after which the connection breaks once; private: repository to the token that opens it; refusals: to (status, headers)."""

    def __init__(self):
        self.repos, self.faults, self.private, self.refusals, self.blobs, self.tags, self.seen = {}, {}, {}, {}, {}, {}, []
        self.extra_names, self.raw_listing, self.cdn, self.bare, self.pause = [], None, True, False, 0.05
        self.listed = threading.Event()
        self.servers = []
        for is_cdn in (False, True):
            server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
            server.handle_error = lambda *_: None  # clients that break off are what is tested
            server.hub, server.is_cdn, server.daemon_threads = self, is_cdn, True
            threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
            self.servers.append(server)
        self.url, self.cdn_url = (f"http://127.0.0.1:{s.server_address[1]}" for s in self.servers)

    def commit(self, repo):
        return hashlib.sha1(repr(sorted((n, sha256(d)) for n, d in self.repos[repo].items())).encode()).hexdigest()

    def sent(self, name):
        """Bytes of the file that left either server."""
        return sum(s["sent"] for s in self.seen if s["path"].endswith(name) or ("/" + name + "/") in s["path"])

    def close(self):
        for server in self.servers:
            server.shutdown()
            server.server_close()
