// OpenAI's SDK for Node: chat completions, responses, structured output, embeddings, errors.
import OpenAI from "openai";
import { zodResponseFormat } from "openai/helpers/zod";
import { z } from "zod";

const [url, key, model] = process.argv.slice(2);
const client = new OpenAI({ baseURL: `${url}/v1`, apiKey: key });
const question = (content) => [{ role: "user", content }];
const parameters = { type: "object", properties: { city: { type: "string" } }, required: ["city"] };
const weather = { type: "function", function: { name: "weather", parameters } };
const City = z.object({ name: z.string(), country: z.string() });

const chat = await client.chat.completions.create({ model, messages: question("Say hello") });
console.log("chat", chat.choices[0].message.content);
let text = "";
for await (const chunk of await client.chat.completions.create({ model, messages: question("Say hello"), stream: true }))
  text += chunk.choices[0]?.delta?.content ?? "";
console.log("stream", text);
const runner = client.chat.completions.runTools({
  model,
  messages: question("How is the weather in Bern?"),
  tools: [{ ...weather, function: { ...weather.function, parse: JSON.parse, function: ({ city }) => `rain in ${city}` } }],
});
await runner.finalContent();
console.log("tools", runner.messages.map((message) => message.role).join(" "));
const format = zodResponseFormat(City, "city");
const parsed = await client.chat.completions.parse({ model, messages: question("Name a city"), response_format: format });
console.log("structured", JSON.stringify(parsed.choices[0].message.parsed));
const response = await client.responses.create({ model, input: "Say hello" });
console.log("responses", response.output_text);
const stored = await client.responses.retrieve(response.id);
await client.responses.delete(response.id);
const gone = await client.responses.retrieve(response.id).catch((error) => error.constructor.name);
console.log("stored", stored.id === response.id && stored.output_text === response.output_text, gone);
const streamed = client.responses.stream({ model, input: "Say hello" });
console.log("responses stream", (await streamed.finalResponse()).output_text);
try {
  await new OpenAI({ baseURL: `${url}/v1`, apiKey: "sk-wrong" }).models.list();
} catch (error) {
  console.log("wrong key", error.constructor.name);
}
