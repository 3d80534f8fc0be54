import json
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

def answer(content, state):
    said = content.get("payload") or content.get("text", "")
    if said == "status":
        return {"replies": [{"message": {"text": "Which order? Send me its number."}}], "state": "number"}
    if said == "person":
        return {"replies": [{"message": {"text": "One moment, somebody will be with you."}}], "effects": ["mute:2h"]}
    if state == "number" and said.strip(" #").isdigit():
        return {"replies": [{"message": {"text": f"Order {said.strip(' #')} is on its way."}}], "state": None}
    buttons = [{"id": "status", "text": "Where is my order?"}, {"id": "person", "text": "Talk to a person"}]
    return {"replies": [{"message": {"text": "What can I do for you?", "replyButtonMessage": {"buttons": buttons}}}]}

class Bot(BaseHTTPRequestHandler):
    def do_POST(self):
        told = json.loads(self.rfile.read(int(self.headers["content-length"])))
        quiet = "muted_until" in told["conversation"]  # a person has taken over
        self.send_response(200)
        self.send_header("content-type", "application/json")
        self.end_headers()
        self.wfile.write(json.dumps({} if quiet else answer(told["event"]["content"], told["state"])).encode())

ThreadingHTTPServer(("127.0.0.1", 3000), Bot).serve_forever()
