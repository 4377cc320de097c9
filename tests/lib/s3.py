"""tests/lib/s3.py: a server that speaks S3 as far as uploads need it, checks each signature by the documents, and fails on demand.

    with S3() as s3:
        s3.url, s3.bucket, s3.objects["key"]      # what it has: {"data", "sha256", ...}
        s3.fail("PUT", times=2, status=503)       # how: status, code, cut, slow, hold, lie, tag, skew, redirect, lose
"""
import base64
import collections
import datetime
import hashlib
import hmac
import http.server
import re
import threading
import time
import urllib.parse

KEY, SECRET, REGION = "AKIDTEST", "secret/of+the=bucket", "eu-test-1"


def quote(s):
    return urllib.parse.quote(s, safe="-._~")


def sha(data):
    return hashlib.sha256(data).hexdigest()


def b64sha(data):
    return base64.b64encode(hashlib.sha256(data).digest()).decode()


def signature(secret, day, region, text):
    key = ("AWS4" + secret).encode()
    for part in (day, region, "s3", "aws4_request"):
        key = hmac.new(key, part.encode(), hashlib.sha256).digest()
    return hmac.new(key, text.encode(), hashlib.sha256).hexdigest()


class Refused(Exception):
    def __init__(self, status, code, message="", headers=()):
        super().__init__(code)
        self.status, self.code, self.message, self.headers = status, code, message, dict(headers)


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *args):
        pass

    def handle(self):
        try:
            super().handle()
        except OSError:
            pass  # whoever asked was killed

    # ---- who asks

    def check_url(self, path, query):
        """A URL that was signed beforehand."""
        told = dict(query)
        key, day, region, service, _ = told["X-Amz-Credential"].split("/")
        at = datetime.datetime.strptime(told["X-Amz-Date"], "%Y%m%dT%H%M%SZ").replace(tzinfo=datetime.timezone.utc)
        age = (self.server.owner.now() - at).total_seconds()
        canonical = "\n".join([self.command, urllib.parse.quote(urllib.parse.unquote(path), safe="/-._~"),
                               "&".join(f"{quote(n)}={quote(v)}" for n, v in sorted(query) if n != "X-Amz-Signature"), "host:" + self.headers["Host"], "", "host", "UNSIGNED-PAYLOAD"])
        text = "\n".join(["AWS4-HMAC-SHA256", told["X-Amz-Date"], f"{day}/{region}/{service}/aws4_request", sha(canonical.encode())])
        if key != KEY or region != REGION or not -60 < age < int(told["X-Amz-Expires"]) or signature(SECRET, day, region, text) != told["X-Amz-Signature"]:
            raise Refused(403, "SignatureDoesNotMatch", canonical)

    def check(self, body):
        path, _, query = self.path.partition("?")
        pairs = sorted(urllib.parse.parse_qsl(query, keep_blank_values=True))
        if "X-Amz-Signature" in dict(pairs):
            self.check_url(path, pairs)
            return
        auth = self.headers.get("Authorization", "")
        m = re.fullmatch(r"AWS4-HMAC-SHA256 Credential=([^/]+)/(\d{8})/([^/]+)/s3/aws4_request, SignedHeaders=([a-z0-9;-]+), Signature=([0-9a-f]{64})", auth)
        if not m:
            raise Refused(403, "AccessDenied", "no signature")
        key, day, region, names, told = m.groups()
        date = self.headers["x-amz-date"]
        if key != KEY:
            raise Refused(403, "InvalidAccessKeyId")
        if region != REGION:
            raise Refused(400, "AuthorizationHeaderMalformed", f"the region is {REGION}")
        at = datetime.datetime.strptime(date, "%Y%m%dT%H%M%SZ").replace(tzinfo=datetime.timezone.utc)
        if abs((at - self.server.owner.now()).total_seconds()) > 900:
            raise Refused(403, "RequestTimeTooSkewed", "The difference between the request time and the server's time is too large.")
        signed = names.split(";")
        missing = [h for h in self.headers if h.lower().startswith("x-amz-") and h.lower() not in signed]
        if "host" not in signed or missing:
            raise Refused(403, "AccessDenied", f"not signed: {missing}")
        canonical = "\n".join([self.command, urllib.parse.quote(urllib.parse.unquote(path), safe="/-._~"),
                               "&".join(f"{quote(n)}={quote(v)}" for n, v in pairs),
                               *(f"{n}:{' '.join(self.headers[n].split())}" for n in signed), "", names, self.headers["x-amz-content-sha256"]])
        text = "\n".join(["AWS4-HMAC-SHA256", date, f"{day}/{region}/s3/aws4_request", sha(canonical.encode())])
        if day != date[:8] or signature(SECRET, day, region, text) != told:
            raise Refused(403, "SignatureDoesNotMatch", canonical)
        if sha(body) != self.headers["x-amz-content-sha256"]:
            raise Refused(400, "XAmzContentSHA256Mismatch")
        if self.headers.get("x-amz-checksum-sha256", b64sha(body)) != b64sha(body):
            raise Refused(400, "BadDigest")

    # ---- one request

    def handle_any(self):
        s3 = self.server.owner
        failure = s3.next_failure(self.command, self.path)
        try:
            body = self.read_body(failure)
            if body is None:
                self.close_connection = True
                return
            s3.requests.append((self.command, self.path, len(body)))
            if failure.get("status"):
                raise Refused(failure["status"], failure.get("code", "InternalError"), "as the test wants it", failure.get("headers", {}))
            self.check(body)
            self.serve(body, failure)
        except Refused as r:
            s3.refused.append((r.code, r.message))
            text = f"<?xml version=\"1.0\"?><Error><Code>{r.code}</Code><Message>{r.message.replace('<', '&lt;')}</Message></Error>".encode()
            self.reply(r.status, text, **r.headers)

    do_GET = do_PUT = do_POST = do_DELETE = do_HEAD = handle_any

    def read_body(self, failure):
        left, body = int(self.headers.get("Content-Length", 0)), b""
        if failure.get("hold"):
            failure["hold"].wait()  # an Event: until then nothing is read, and afterwards nothing is taken
            return None
        while left > 0:
            if failure.get("slow"):
                time.sleep(failure["slow"])
            data = self.rfile.read(min(left, 65536))
            if not data:
                return None
            body, left = body + data, left - len(data)
            if failure.get("cut") and len(body) >= failure["cut"]:
                return None
        return body

    def date_time_string(self, timestamp=None):
        return super().date_time_string(self.server.owner.now().timestamp())

    def reply(self, status, body=b"", **headers):
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        if "Content_Length" not in headers:
            self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def serve(self, body, failure):
        s3 = self.server.owner
        path, _, query = self.path.partition("?")
        query = dict(urllib.parse.parse_qsl(query, keep_blank_values=True))
        key = urllib.parse.unquote(path).lstrip("/")
        if s3.virtual:
            if not self.headers["Host"].startswith(s3.bucket + "."):
                raise Refused(404, "NoSuchBucket")
        else:
            bucket, _, key = key.partition("/")
            if bucket != s3.bucket:
                raise Refused(404, "NoSuchBucket")
        with s3.lock:
            if "uploads" in query:
                self.begin(s3, key)
            elif "partNumber" in query:
                self.part(s3, query, body, failure)
            elif "uploadId" in query and self.command == "DELETE":
                s3.uploads.pop(query["uploadId"], None)
                self.reply(204)
            elif "uploadId" in query:
                self.complete(s3, key, query["uploadId"], body)
            elif self.command == "PUT":
                self.put(s3, key, body, failure)
            elif key not in s3.objects:
                raise Refused(404, "NoSuchKey")
            else:
                self.get(s3, s3.objects[key])

    def put(self, s3, key, body, failure):
        stored = body if not failure.get("lie") else b"x" * len(body)
        s3.objects[key] = {"data": stored, "tag": failure.get("tag") or hashlib.md5(body).hexdigest(), "sum": b64sha(stored if s3.honest else body), "class": self.headers.get("x-amz-storage-class"), "type": self.headers["Content-Type"]}
        self.reply(200, ETag='"%s"' % s3.objects[key]["tag"], **({"x_amz_checksum_sha256": s3.objects[key]["sum"]} if s3.sums else {}))

    def get(self, s3, o):
        sums = {"x_amz_checksum_sha256": o["sum"]} if s3.sums and self.headers.get("x-amz-checksum-mode") == "ENABLED" else {}
        self.reply(200, o["data"], ETag='"%s"' % o["tag"], Content_Length=len(o["data"]), **sums)

    def begin(self, s3, key):
        s3.n_uploads += 1
        id = "up load/%d+=" % s3.n_uploads
        s3.uploads[id] = {"key": key, "parts": {}}
        self.reply(200, f"<?xml version=\"1.0\"?><InitiateMultipartUploadResult><Bucket>{s3.bucket}</Bucket><Key>{key}</Key><UploadId>{id}</UploadId></InitiateMultipartUploadResult>".encode())

    def part(self, s3, query, body, failure):
        up = s3.uploads.get(query["uploadId"])
        if not up or failure.get("lose"):
            s3.uploads.pop(query["uploadId"], None)
            raise Refused(404, "NoSuchUpload")
        up["parts"][int(query["partNumber"])] = body if not failure.get("lie") else b"x" * len(body)
        s3.parts.append(int(query["partNumber"]))
        self.reply(200, ETag='"%s"' % hashlib.md5(body).hexdigest(), **({"x_amz_checksum_sha256": b64sha(body)} if s3.sums else {}))

    def complete(self, s3, key, id, body):
        up = s3.uploads.get(id)
        if not up:
            raise Refused(404, "NoSuchUpload")
        named = re.findall(r"<PartNumber>(\d+)</PartNumber><ETag>&quot;(\w+)&quot;</ETag><ChecksumSHA256>([^<]+)<", body.decode())
        if [int(n) for n, _, _ in named] != sorted(up["parts"]):
            raise Refused(400, "InvalidPart")
        parts = [up["parts"][n] for n in sorted(up["parts"])]
        if any(len(p) < 5 << 20 for p in parts[:-1]):
            raise Refused(400, "EntityTooSmall")
        tag = hashlib.md5(b"".join(hashlib.md5(p).digest() for p in parts)).hexdigest()
        whole = b64sha(b"".join(hashlib.sha256(p).digest() for p in parts))
        s3.objects[key] = {"data": b"".join(parts), "tag": f"{tag}-{len(parts)}", "sum": f"{whole}-{len(parts)}"}
        del s3.uploads[id]
        self.reply(200, f"<CompleteMultipartUploadResult><ETag>&quot;{tag}-{len(parts)}&quot;</ETag></CompleteMultipartUploadResult>".encode())


class S3:
    def __init__(self, bucket="tape", sums=True, honest=True, virtual=False, timeout="20s", certs=None):
        """sums: it keeps SHA-256. honest: what it says of an object is what it has. timeout: of who uploads."""
        self.timeout, self.bucket, self.sums, self.honest, self.virtual = timeout, bucket, sums, honest, virtual
        self.objects, self.uploads, self.requests, self.refused, self.parts = {}, {}, [], [], []
        self.failures, self.lock, self.ahead, self.n_uploads = collections.deque(), threading.RLock(), 0, 0
        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.server.owner = self
        self.port = self.server.server_address[1]
        self.url = f"http://127.0.0.1:{self.port}"
        if certs:
            self.url = f"https://127.0.0.1:{self.port}"
            self.server.socket = certs.wrap(self.server.socket, "stranger")

    def now(self):
        return datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(seconds=self.ahead)

    def fail(self, method, times=1, match="", **how):
        for _ in range(times):
            self.failures.append((method, match, how))

    def next_failure(self, method, path):
        with self.lock:
            for f in self.failures:
                if f[0] == method and f[1] in path:
                    self.failures.remove(f)
                    return f[2]
        return {}

    def conf(self, more=""):
        return f"upload: {{url: '{self.url}', bucket: {self.bucket}, region: {REGION}, key_id: {KEY}, secret: '{SECRET}', prefix: 'rec ü/', timeout: {self.timeout}{more}}}"

    def __enter__(self):
        threading.Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
        return self

    def __exit__(self, *_):
        self.server.shutdown()
        self.server.server_close()
