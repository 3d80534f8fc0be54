import json
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

BUTTONS = [{"id": "status", "text": "Where is my order?"}, {"id": "person", "text": "Talk to a person"}]


def answer(event, state):
    said = event["content"].get("payload") or event["content"].get("text", "")
    if said == "status":
        return {"replies": [{"message": {"text": "Which order? Send me its number."}}], "state": "number"}
    if said == "person":
        return {"replies": [{"message": {"text": "One moment, somebody will be with you."}}], "effects": ["mute:2h"]}
    if state == "number" and said.strip(" #").isdigit():
        return {"replies": [{"message": {"text": f"Order {said.strip(' #')} is on its way."}}], "state": None}
    hello = f"Hello {event['customer'].get('name', 'there')}, what can I do for you?"
    return {"replies": [{"message": {"text": hello, "replyButtonMessage": {"buttons": BUTTONS}}}]}


class Bot(BaseHTTPRequestHandler):
    def do_POST(self):
        told = json.loads(self.rfile.read(int(self.headers["content-length"])))
        body = json.dumps(answer(told["event"], told["state"])).encode()
        self.send_response(200)
        self.send_header("content-type", "application/json")
        self.end_headers()
        self.wfile.write(body)


ThreadingHTTPServer(("127.0.0.1", 3000), Bot).serve_forever()
