import { createServer } from "node:http";
import { json } from "node:stream/consumers";

const buttons = [{ id: "status", text: "Where is my order?" }, { id: "person", text: "Talk to a person" }];
const say = (message, more = {}) => ({ replies: [{ message }], ...more });

function answer(content, state) {
  const said = content.payload ?? content.text ?? "";
  const number = said.match(/^\s*#?(\d+)\s*$/)?.[1];
  if (said === "status") return say({ text: "Which order? Send me its number." }, { state: "number" });
  if (said === "person") return say({ text: "One moment, somebody will be with you." }, { effects: ["mute:2h"] });
  if (state === "number" && number) return say({ text: `Order ${number} is on its way.` }, { state: null });
  return say({ text: "What can I do for you?", replyButtonMessage: { buttons } });
}

createServer(async (request, response) => {
  const { event, conversation, state } = await json(request);
  const quiet = conversation.muted_until; // a person has taken over
  response.setHeader("content-type", "application/json");
  response.end(JSON.stringify(quiet ? {} : answer(event.content, state)));
}).listen(3000, "127.0.0.1");
