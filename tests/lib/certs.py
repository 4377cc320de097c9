"""tests/lib/certs.py: certificates of a private authority for 127.0.0.1, good and bad, and a server's side of TLS that shows any of them.

    certs = Certs(directory)
    server.socket = certs.wrap(server.socket, "expired")     # good, expired, name, stranger
    certs.show("good")                                       # from the next connection on
"""
import os
import ssl
import subprocess


def openssl(*words):
    subprocess.run(["openssl", *words], check=True, capture_output=True)


class Certs:
    # The bad ones, and what libcurl says of them
    REASONS = {"stranger": "unable to get local issuer", "name": "alternative certificate subject name|does not match|no alternative", "expired": "has expired"}

    def __init__(self, where):
        self.where, self.ca = where, os.path.join(where, "ca.pem")
        for name in ("ca", "other"):
            openssl("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "30", "-subj", "/CN=test " + name,
                    "-keyout", self.path(name, "key"), "-out", self.path(name, "pem"))
        for name, by, days, san in (("good", "ca", 30, "IP:127.0.0.1"), ("stranger", "other", 30, "IP:127.0.0.1"), ("name", "ca", 30, "DNS:elsewhere.example"),
                                    ("expired", "ca", -1, "IP:127.0.0.1")):
            self.issue(name, by, days, san)
        os.chmod(self.ca, 0o644)
        self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)

    def path(self, name, kind):
        return os.path.join(self.where, f"{name}.{kind}")

    def issue(self, name, by, days, san):
        with open(self.path(name, "ext"), "w") as f:
            f.write(f"subjectAltName={san}\n")
        openssl("req", "-new", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-subj", "/CN=test", "-keyout", self.path(name, "key"), "-out", self.path(name, "csr"))
        openssl("x509", "-req", "-in", self.path(name, "csr"), "-CA", self.path(by, "pem"), "-CAkey", self.path(by, "key"), "-CAcreateserial", "-days", str(days),
                "-extfile", self.path(name, "ext"), "-out", self.path(name, "pem"))

    def show(self, name):
        self.context.load_cert_chain(self.path(name, "pem"), self.path(name, "key"))

    def wrap(self, socket, name):
        self.show(name)
        return self.context.wrap_socket(socket, server_side=True)
