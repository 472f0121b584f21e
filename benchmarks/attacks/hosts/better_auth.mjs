// better-auth on Node with its two-factor, api-key, admin, bearer and device authorization plugins; everything that it
// recommends by default is on.
// Only the coarse limits by address are off: every request here comes from one.
import { createServer } from "node:http";

import { apiKey } from "@better-auth/api-key";
import { betterAuth } from "better-auth";
import { getMigrations } from "better-auth/db/migration";
import { toNodeHandler } from "better-auth/node";
import { admin, bearer, deviceAuthorization, twoFactor } from "better-auth/plugins";
import Database from "better-sqlite3";

const port = Number(process.env.BENCH_PORT);
const database = new Database(process.env.BENCH_DATABASE_URL);
database.pragma("journal_mode = WAL");

const options = {
  baseURL: `http://127.0.0.1:${port}`,
  secret: "a secret that only this comparison knows, and long enough",
  database,
  emailAndPassword: { enabled: true },
  rateLimit: { enabled: false },
  telemetry: { enabled: false },
  logger: { disabled: true },
  plugins: [
    twoFactor({ issuer: "peers" }),
    admin(),
    bearer(),
    deviceAuthorization({ verificationUri: "/device" }),
    apiKey({ enableSessionForAPIKeys: true, rateLimit: { enabled: false } }),
  ],
};
await (await getMigrations(options)).runMigrations();
const handle = toNodeHandler(betterAuth(options));
createServer((request, response) => handle(request, response)).listen(port, "127.0.0.1");
