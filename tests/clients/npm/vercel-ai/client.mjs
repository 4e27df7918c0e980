// Vercel's AI SDK with its three providers that can be pointed at a gateway.
import { createAnthropic } from "@ai-sdk/anthropic";
import { createOpenAI } from "@ai-sdk/openai";
import { createOpenAICompatible } from "@ai-sdk/openai-compatible";
import { generateText, Output, stepCountIs, streamText, tool } from "ai";
import { z } from "zod";

const [url, key, model] = process.argv.slice(2);
const compatible = createOpenAICompatible({ name: "scalix", baseURL: `${url}/v1`, apiKey: key });
const openai = createOpenAI({ baseURL: `${url}/v1`, apiKey: key });
const anthropic = createAnthropic({ baseURL: `${url}/v1`, apiKey: key });

console.log("chat", (await generateText({ model: compatible(model), prompt: "Say hello" })).text);
console.log("responses", (await generateText({ model: openai(model), prompt: "Say hello" })).text);
console.log("messages", (await generateText({ model: anthropic(model), prompt: "Say hello" })).text);
console.log("stream", await streamText({ model: openai(model), prompt: "Say hello" }).text);
const weather = tool({
  description: "The weather in a city.",
  inputSchema: z.object({ city: z.string() }),
  execute: async ({ city }) => `rain in ${city}`,
});
const called = await generateText({
  model: compatible(model),
  prompt: "How is the weather in Bern?",
  tools: { weather },
  stopWhen: stepCountIs(3),
});
console.log("tools", called.steps.map((step) => step.finishReason).join(" "));
const City = z.object({ name: z.string(), country: z.string() });
const city = await generateText({ model: openai(model), prompt: "Name a city", output: Output.object({ schema: City }) });
console.log("structured", JSON.stringify(city.output));
try {
  const wrong = createOpenAI({ baseURL: `${url}/v1`, apiKey: "sk-wrong" });
  await generateText({ model: wrong(model), prompt: "Say hello", maxRetries: 0 });
} catch (error) {
  console.log("wrong key", error.statusCode);
}
