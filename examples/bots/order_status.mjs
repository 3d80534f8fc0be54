import { createServer } from "node:http";
import { json } from "node:stream/consumers";

const buttons = [{ id: "status", text: "Where is my order?" }, { id: "person", text: "Talk to a person" }];
const say = (text, more = {}) => ({ replies: [{ message: { text } }], ...more });

function answer({ content, customer }, state) {
  const said = content.payload ?? content.text ?? "";
  const number = said.match(/^\s*#?(\d+)\s*$/)?.[1];
  if (said === "status") return say("Which order? Send me its number.", { state: "number" });
  if (said === "person") return say("One moment, somebody will be with you.", { effects: ["mute:2h"] });
  if (state === "number" && number) return say(`Order ${number} is on its way.`, { state: null });
  const text = `Hello ${customer.name ?? "there"}, what can I do for you?`;
  return { replies: [{ message: { text, replyButtonMessage: { buttons } } }] };
}

createServer(async (request, response) => {
  const { event, state } = await json(request);
  response.setHeader("content-type", "application/json").end(JSON.stringify(answer(event, state)));
}).listen(3000, "127.0.0.1");
