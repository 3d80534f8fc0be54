// A handler that checks each request with the public library for JavaScript, and answers what it found.
import { createServer } from "node:http";
import { createRequire } from "node:module";
import { text } from "node:stream/consumers";

// The library is where the script that starts this has installed it.
const { Webhook } = createRequire(`${process.env.LIBRARIES}/`)("standardwebhooks");

const SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
const OTHER = "whsec_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";

function isVerified(secret, body, headers) {
  try {
    new Webhook(secret).verify(body, headers);
    return true;
  } catch {
    return false;
  }
}

createServer(async (request, response) => {
  const body = await text(request);
  const good = isVerified(SECRET, body, request.headers);
  const bad = isVerified(OTHER, body, request.headers) || isVerified(SECRET, `${body} `, request.headers);
  const found = good && !bad ? "verified by JavaScript" : "not verified by JavaScript";
  response.setHeader("content-type", "application/json");
  response.end(JSON.stringify({ replies: [{ message: { text: found } }] }));
}).listen(3000, "127.0.0.1");
