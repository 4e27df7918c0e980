// Anthropic's SDK for Node: messages, streams, tools, thinking, errors.
import Anthropic from "@anthropic-ai/sdk";

const [url, key, model] = process.argv.slice(2);
const client = new Anthropic({ baseURL: url, apiKey: key });
const question = (content) => [{ role: "user", content }];
const input_schema = { type: "object", properties: { city: { type: "string" } }, required: ["city"] };

const whole = await client.messages.create({ model, max_tokens: 200, messages: question("Say hello") });
console.log("messages", whole.content[0].text);
const stream = client.messages.stream({ model, max_tokens: 200, messages: question("Say hello") });
console.log("stream", await stream.finalText());
const tools = [{ name: "weather", input_schema }];
const called = await client.messages.create({ model, max_tokens: 200, tools, messages: question("How is the weather?") });
console.log("tools", called.content.find((block) => block.type === "tool_use").name);
const thinking = { type: "enabled", budget_tokens: 1024 };
const thought = client.messages.stream({ model, max_tokens: 2000, thinking, messages: question("Say hello") });
console.log("thinking", (await thought.finalMessage()).content.map((block) => block.type).join(" "));
try {
  await new Anthropic({ baseURL: url, apiKey: "sk-wrong" }).messages.create({
    model,
    max_tokens: 10,
    messages: question("Hi"),
  });
} catch (error) {
  console.log("wrong key", error.constructor.name);
}
