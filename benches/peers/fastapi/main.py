"""The webhook as one would write it with FastAPI and asyncpg: verify, decode, one insert per request, answer.

`DATABASE_URL` names a PostgreSQL, `PORT` where to listen (0 for any), `CONNECTLY_WEBHOOK_SECRET` the secret.
It prints `ready <address>` once it accepts.
"""

import base64
import binascii
import hashlib
import hmac
import json
import os
import socket
from contextlib import asynccontextmanager

import asyncpg
import uvicorn
from fastapi import FastAPI, Request, Response

SECRET = os.environ["CONNECTLY_WEBHOOK_SECRET"].encode()

TABLE = """
CREATE TABLE IF NOT EXISTS events (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    dedupe_key text NOT NULL UNIQUE,
    payload jsonb NOT NULL,
    received_at timestamptz NOT NULL DEFAULT now()
)
"""
INSERT = "INSERT INTO events (dedupe_key, payload) VALUES ($1, $2) ON CONFLICT (dedupe_key) DO NOTHING RETURNING id"

listener = socket.create_server(("127.0.0.1", int(os.environ["PORT"])), backlog=1024)


@asynccontextmanager
async def lifespan(app: FastAPI):
    async with asyncpg.create_pool(os.environ["DATABASE_URL"], min_size=32, max_size=32) as pool:
        await pool.execute(TABLE)
        app.state.pool = pool
        host, port = listener.getsockname()
        print(f"ready {host}:{port}", flush=True)
        yield


app = FastAPI(lifespan=lifespan, openapi_url=None)


def is_signed(header: str | None, body: bytes) -> bool:
    try:
        digest = base64.b64decode(header or "", validate=True)
    except (binascii.Error, ValueError):
        return False
    return hmac.compare_digest(hmac.new(SECRET, body, hashlib.sha256).digest(), digest)


def dedupe_key(event: dict, body: bytes) -> str:
    if update := event.get("statusUpdate"):
        return f"{update['id']}:{update['status']}"
    if message := event.get("message"):
        return message["id"]
    return hashlib.sha256(body).hexdigest()


@app.post("/webhooks/connectly")
async def accept(request: Request) -> Response:
    body = await request.body()
    if not is_signed(request.headers.get("x-connectly-hmac-sha256"), body):
        return Response(status_code=401)
    key = dedupe_key(json.loads(body), body)
    event = await app.state.pool.fetchval(INSERT, key, body.decode())
    answer = json.dumps({"id": event, "duplicate": event is None})
    return Response(answer, media_type="application/json")


if __name__ == "__main__":
    config = uvicorn.Config(app, workers=1, access_log=False, log_level="warning")
    uvicorn.Server(config).run(sockets=[listener])
