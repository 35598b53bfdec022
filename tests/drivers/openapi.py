"""Schemathesis over the key server's OpenAPI document, with requests signed by the client key in CS_CLIENT_KEY.

Run as a program it starts schemathesis with this file as its hooks. Environment: URL, CA (PEM path), CS_CLIENT_ID, CS_CLIENT_KEY.
"""

import base64
import hashlib
import os
import struct
import subprocess
import sys
import time
import uuid
from urllib.parse import urlsplit

import requests
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

URL = os.environ["URL"]
CA = os.environ["CA"]


def unbase64(text):
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


def rebase64(data):
    return base64.urlsafe_b64encode(data).decode().rstrip("=")


def counted(data):
    return struct.pack(">I", len(data)) + data


class Signed(requests.auth.AuthBase):
    """Signs a request as it goes out: docs/keyserver.md, "Requests"."""

    def __init__(self):
        seed = unbase64(os.environ["CS_CLIENT_KEY"].removeprefix("csck1_"))[:32]
        signing = HKDF(SHA256(), 32, None, b"columnseal client ed25519 v1").derive(seed)
        self.key = Ed25519PrivateKey.from_private_bytes(signing)
        self.client = uuid.UUID(os.environ["CS_CLIENT_ID"])
        record = requests.get(URL + "/v1/service", verify=CA, timeout=10).json()["record"]
        self.service = unbase64(record["body"])[:16]

    def __call__(self, request):
        body = request.body or b""
        body = body.encode() if isinstance(body, str) else body
        nonce, now = os.urandom(16), time.time_ns() // 1_000_000
        path = urlsplit(request.url).path
        message = b"columnseal req v1" + self.service + self.client.bytes
        message += counted(request.method.encode()) + counted(path.encode())
        message += struct.pack(">Q", now) + nonce + hashlib.sha256(body).digest()
        request.headers["Authorization"] = (
            f"Columnseal client={self.client},time={now},nonce={rebase64(nonce)},signature={rebase64(self.key.sign(message))}"
        )
        return request


CHECKS = [
    "not_a_server_error",
    "status_code_conformance",
    "content_type_conformance",
    "response_headers_conformance",
    "response_schema_conformance",
    "unsupported_method",
]


def examples_validate(document):
    """Every example in the document is valid under the schema that it stands in."""
    import jsonschema_rs

    def walk(value):
        if isinstance(value, dict):
            for example in value.get("examples", []) if isinstance(value.get("examples"), list) else []:
                jsonschema_rs.validator_for({**value, "components": document["components"]}).validate(example)
            for inner in value.values():
                walk(inner)
        elif isinstance(value, list):
            for inner in value:
                walk(inner)

    walk(document["components"])


def main():
    signed = Signed()
    document = requests.get(URL + "/openapi.json", verify=CA, timeout=10).json()
    examples_validate(document)
    # What is sent is signed well: a lease is given, and a body that was not signed is refused.
    send = lambda body: requests.post(URL + "/v1/lease", data=body, auth=signed, verify=CA, timeout=10,
                                      headers={"Content-Type": "application/json"})
    assert send(b"{}").status_code == 200, send(b"{}").text
    command = [os.path.join(os.path.dirname(sys.executable), "schemathesis"), "run", URL + "/openapi.json"]
    command += ["--checks", ",".join(CHECKS), "--max-examples", "25", "--seed", "1", "--tls-verify", CA]
    # A stream does not end; it is tested elsewhere.
    command += ["--exclude-path", "/v1/events", "--phases", "examples,coverage,fuzzing", "--mode", "all"]
    command += ["--request-timeout", "10", "--no-color"]
    sys.exit(subprocess.run(command, env={**os.environ, "SCHEMATHESIS_HOOKS": os.path.abspath(__file__)}).returncode)


if __name__ == "__main__":
    main()
elif os.environ.get("SCHEMATHESIS_HOOKS"):
    import schemathesis

    schemathesis.auth.set_from_requests(Signed())
