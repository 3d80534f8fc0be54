"""A handler that checks each request with the public library for Python, and answers what it found."""

import json
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from standardwebhooks.webhooks import Webhook, WebhookVerificationError

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
OTHER = "whsec_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"


def is_verified(secret, body, headers):
    try:
        Webhook(secret).verify(body, headers)
        return True
    except WebhookVerificationError:
        return False


class Receiver(BaseHTTPRequestHandler):
    def do_POST(self):
        body = self.rfile.read(int(self.headers["content-length"]))
        headers = {name.lower(): value for name, value in self.headers.items()}
        good = is_verified(SECRET, body, headers)
        bad = is_verified(OTHER, body, headers) or is_verified(SECRET, body + b" ", headers)
        text = "verified by Python" if good and not bad else "not verified by Python"
        self.send_response(200)
        self.send_header("content-type", "application/json")
        self.end_headers()
        self.wfile.write(json.dumps({"replies": [{"message": {"text": text}}]}).encode())


ThreadingHTTPServer(("127.0.0.1", 3000), Receiver).serve_forever()
