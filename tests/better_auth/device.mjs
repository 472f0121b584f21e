// better-auth's official client with its device authorization plugin, unchanged, against the server that the first
// argument names. Prints one JSON line a step: the HTTP status, OAuth's word for the error, and what came back.
import { randomUUID } from "node:crypto";

import { createAuthClient } from "better-auth/client";
import { deviceAuthorizationClient } from "better-auth/client/plugins";

const baseURL = process.argv[2];
const origin = new URL(baseURL).origin;
const GRANT = "urn:ietf:params:oauth:grant-type:device_code";
const CLIENT = "deploy-tool";

function start(browses) {
  const cookies = new Map();
  const seen = { status: 0 };
  const send = async (url, options = {}) => {
    const headers = new Headers(options.headers);
    if (browses) headers.set("origin", origin);
    if (cookies.size > 0) headers.set("cookie", [...cookies].map(([name, value]) => `${name}=${value}`).join("; "));
    const response = await fetch(url, { ...options, headers });
    seen.status = response.status;
    for (const line of response.headers.getSetCookie()) {
      const pair = line.split(";")[0];
      cookies.set(pair.slice(0, pair.indexOf("=")), pair.slice(pair.indexOf("=") + 1));
    }
    return response;
  };
  const client = createAuthClient({
    baseURL,
    fetchOptions: { customFetchImpl: send },
    plugins: [deviceAuthorizationClient()],
  });
  return { client, seen };
}

const machine = start(false);
const browser = start(true);

async function step(name, who, call) {
  const { data, error } = await call;
  const told = { name, status: who.seen.status, error: error ? (error.error ?? "none") : null, data };
  process.stdout.write(`${JSON.stringify(told)}\n`);
  return data;
}

const poll = (code) => machine.client.device.token({ grant_type: GRANT, device_code: code, client_id: CLIENT });
const email = `person-${randomUUID()}@example.com`;

const codes = await step("code", machine, machine.client.device.code({ client_id: CLIENT, scope: "orders:read" }));
await step("pending", machine, poll(codes.device_code));
await step("too soon", machine, poll(codes.device_code));
await step("nobody approves", browser, browser.client.device.approve({ userCode: codes.user_code }));
await step("sign up", browser, browser.client.signUp.email({ email, password: "correct horse battery", name: "Ada" }));
await step("look", browser, browser.client.device({ query: { user_code: codes.user_code } }));
await step("approve", browser, browser.client.device.approve({ userCode: codes.user_code }));
await new Promise((resolve) => setTimeout(resolve, 10_500));
const key = await step("key", machine, poll(codes.device_code));
const answer = await fetch(`${baseURL}/whoami`, { headers: { authorization: `Bearer ${key.access_token}` } });
process.stdout.write(`${JSON.stringify({ name: "whoami", status: answer.status, data: await answer.json() })}\n`);

const others = await step("another code", machine, machine.client.device.code({ client_id: CLIENT }));
await step("look at it", browser, browser.client.device({ query: { user_code: others.user_code } }));
await step("deny", browser, browser.client.device.deny({ userCode: others.user_code }));
await step("denied", machine, poll(others.device_code));
process.exit(0);
