// better-auth's own server in memory, so that its client can say what it is used to.
// Prints its address when it listens, writes mails to the file that the first argument names; ends when its input does.
import { appendFileSync, writeFileSync } from "node:fs";
import { createServer } from "node:http";

import { apiKey } from "@better-auth/api-key";
import { betterAuth } from "better-auth";
import { memoryAdapter } from "better-auth/adapters/memory";
import { toNodeHandler } from "better-auth/node";
import { organization, twoFactor } from "better-auth/plugins";

const tables = ["user", "session", "account", "verification", "twoFactor", "apikey"];
const organizationTables = ["organization", "member", "invitation"];

const mailFile = process.argv[2];
writeFileSync(mailFile, "");

const server = createServer();
server.listen(0, "127.0.0.1", () => {
  const baseURL = `http://127.0.0.1:${server.address().port}`;
  const auth = betterAuth({
    baseURL,
    secret: "a secret that only this test knows and nobody else",
    database: memoryAdapter(Object.fromEntries([...tables, ...organizationTables].map((name) => [name, []]))),
    // Its own hash is scrypt in JavaScript, which would take most of the test's time.
    emailAndPassword: {
      enabled: true,
      password: { hash: async (text) => text, verify: async ({ hash, password }) => hash === password },
    },
    emailVerification: {
      sendVerificationEmail: async ({ user, url }) => appendFileSync(mailFile, `mail to ${user.email}: ${url}\n`),
    },
    rateLimit: { enabled: false },
    telemetry: { enabled: false },
    logger: { disabled: true },
    session: { freshAge: 0 },
    plugins: [
      twoFactor({ issuer: "reference" }),
      apiKey({ enableMetadata: true, rateLimit: { enabled: false } }),
      organization({ requireEmailVerificationOnInvitation: false, sendInvitationEmail: async () => {} }),
    ],
  });
  server.on("request", toNodeHandler(auth));
  process.stdout.write(`${baseURL}\n`);
});
process.stdin.resume();
process.stdin.on("end", () => process.exit(0));
