// better-auth's official client with its passkey plugin, unchanged, against the server that the first argument names.
// Prints one JSON line a step: the HTTP status, the error's code, and what came back.
import { randomUUID } from "node:crypto";

import { passkeyClient } from "@better-auth/passkey/client";
import { createAuthClient } from "better-auth/client";

import { install } from "./authenticator.mjs";

const baseURL = process.argv[2];
const origin = new URL(baseURL).origin;
const PASSWORD = "correct horse battery staple";
install(origin);

const cookies = new Map();
let status = 0;

async function send(url, options = {}) {
  const headers = new Headers(options.headers);
  headers.set("origin", origin);
  if (cookies.size > 0) headers.set("cookie", [...cookies].map(([name, value]) => `${name}=${value}`).join("; "));
  const response = await fetch(url, { ...options, headers });
  status = response.status;
  for (const line of response.headers.getSetCookie()) {
    const [pair, ...attributes] = line.split(";").map((part) => part.trim());
    const name = pair.slice(0, pair.indexOf("="));
    if (attributes.some((attribute) => /^max-age=0$/i.test(attribute))) cookies.delete(name);
    else cookies.set(name, pair.slice(pair.indexOf("=") + 1));
  }
  return response;
}

const client = createAuthClient({ baseURL, fetchOptions: { customFetchImpl: send }, plugins: [passkeyClient()] });

async function step(name, call) {
  const { data, error } = await call;
  process.stdout.write(`${JSON.stringify({ name, status, code: error ? (error.code ?? "none") : null, data })}\n`);
  return data;
}

const email = `person-${randomUUID()}@example.com`;
await step("sign up", client.signUp.email({ email, password: PASSWORD, name: "Ada" }));
const passkey = await step("add", client.passkey.addPasskey({ name: "Laptop", authenticatorAttachment: "platform" }));
await step("add again", client.passkey.addPasskey({ name: "Laptop" }));
await step("list", client.passkey.listUserPasskeys());
await step("rename", client.passkey.updatePasskey({ id: passkey.id, name: "Work laptop" }));
await step("sign out", client.signOut());
await step("sign in", client.signIn.passkey());
await step("session", client.getSession());
await step("list after", client.passkey.listUserPasskeys());
await step("sign out again", client.signOut());
await step("password still signs in", client.signIn.email({ email, password: PASSWORD }));
await step("delete", client.passkey.deletePasskey({ id: passkey.id }));
await step("list empty", client.passkey.listUserPasskeys());
await step("sign in without", client.signIn.passkey());
process.exit(0);
