// The webhook as one would write it with Fastify and pg: verify, decode, insert, answer. One insert per request; with GROUP=1
// one insert for everything that came in while the last one was under way, and nothing is delayed.
//
// DATABASE_URL names a PostgreSQL, PORT where to listen (0 for any), CONNECTLY_WEBHOOK_SECRET the secret. It prints
// `ready <address>` once it accepts.

import { createHash, createHmac, timingSafeEqual } from "node:crypto";
import fastify from "fastify";
import pg from "pg";

const { CONNECTLY_WEBHOOK_SECRET: secret, DATABASE_URL, GROUP, PORT } = process.env;
// As the product does: more in one statement gain nothing.
const LARGEST_GROUP = 512;

const pool = new pg.Pool({ connectionString: DATABASE_URL, max: 32 });

await pool.query(`CREATE TABLE IF NOT EXISTS events (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    dedupe_key text NOT NULL UNIQUE,
    payload jsonb NOT NULL,
    received_at timestamptz NOT NULL DEFAULT now()
)`);

function isSigned(header, body) {
  const given = Buffer.from(header ?? "", "base64");
  const expected = createHmac("sha256", secret).update(body).digest();
  return given.length === expected.length && timingSafeEqual(given, expected);
}

function dedupeKey(event, body) {
  if (event.statusUpdate) return `${event.statusUpdate.id}:${event.statusUpdate.status}`;
  if (event.message) return event.message.id;
  return createHash("sha256").update(body).digest("hex");
}

async function insertOne(key, payload) {
  const { rows } = await pool.query({
    name: "insert-one",
    text: `INSERT INTO events (dedupe_key, payload) VALUES ($1, $2)
           ON CONFLICT (dedupe_key) DO NOTHING RETURNING id`,
    values: [key, payload],
  });
  return rows[0]?.id;
}

const waiting = [];
let inserting = false;

function insertWithOthers(key, payload) {
  return new Promise((resolve, reject) => {
    waiting.push({ key, payload, resolve, reject });
    if (!inserting) insertGroups();
  });
}

async function insertGroups() {
  inserting = true;
  while (waiting.length > 0) {
    const group = waiting.splice(0, LARGEST_GROUP);
    try {
      const ids = await insertGroup(group);
      for (const { key, resolve } of group) {
        resolve(ids.get(key));
        // A repeat in the same group is a repeat.
        ids.delete(key);
      }
    } catch (error) {
      for (const { reject } of group) reject(error);
    }
  }
  inserting = false;
}

async function insertGroup(group) {
  const { rows } = await pool.query({
    name: "insert-group",
    text: `INSERT INTO events (dedupe_key, payload)
           SELECT key, payload::jsonb FROM unnest($1::text[], $2::text[]) AS g (key, payload)
           ON CONFLICT (dedupe_key) DO NOTHING RETURNING id, dedupe_key`,
    values: [group.map(({ key }) => key), group.map(({ payload }) => payload)],
  });
  return new Map(rows.map(({ id, dedupe_key }) => [dedupe_key, id]));
}

const insert = GROUP === "1" ? insertWithOthers : insertOne;
const app = fastify();

// The signature is over the raw bytes.
app.removeAllContentTypeParsers();
app.addContentTypeParser("*", { parseAs: "buffer" }, (_request, body, done) => done(null, body));

app.post("/webhooks/connectly", async (request, reply) => {
  const body = request.body ?? Buffer.alloc(0);
  if (!isSigned(request.headers["x-connectly-hmac-sha256"], body)) return reply.code(401).send();
  const payload = body.toString();
  const id = await insert(dedupeKey(JSON.parse(payload), body), payload);
  return { id: id ?? null, duplicate: id === undefined };
});

await app.listen({ host: "127.0.0.1", port: Number(PORT) });
const { address, port } = app.server.address();
console.log(`ready ${address}:${port}`);
