// better-auth on Node with its api-key and two-factor plugins. Rate limits are off, keys stay hashed.
import { createServer } from "node:http";

import { apiKey } from "@better-auth/api-key";
import { betterAuth } from "better-auth";
import { getMigrations } from "better-auth/db/migration";
import { toNodeHandler } from "better-auth/node";
import { twoFactor } from "better-auth/plugins";

const port = Number(process.env.BENCH_PORT);

async function database() {
  const url = process.env.BENCH_DATABASE_URL;
  if (url.startsWith("postgresql:")) {
    const { default: pg } = await import("pg");
    return new pg.Pool({ connectionString: url, max: 8 });
  }
  const { default: Database } = await import("better-sqlite3");
  const opened = new Database(url);
  opened.pragma("journal_mode = WAL");
  opened.pragma("synchronous = NORMAL");
  return opened;
}

const options = {
  baseURL: `http://127.0.0.1:${port}`,
  secret: "a secret that is only used to measure, and long enough",
  database: await database(),
  emailAndPassword: { enabled: true },
  rateLimit: { enabled: false },
  telemetry: { enabled: false },
  logger: { disabled: true },
  session: { freshAge: 0 },
  plugins: [
    twoFactor({ issuer: "benchmark" }),
    apiKey({ rateLimit: { enabled: false }, keyExpiration: { defaultExpiresIn: null } }),
  ],
};
await (await getMigrations(options)).runMigrations();
const auth = betterAuth(options);
const handle = toNodeHandler(auth);
const { password } = await auth.$context;
const known = await password.hash("correct horse battery staple");

createServer(async (request, response) => {
  if (request.url.startsWith("/api/auth")) return handle(request, response);
  if (request.url === "/healthz") return response.end("ok");
  if (request.url.startsWith("/hash")) {
    const times = Number(new URL(request.url, "http://localhost").searchParams.get("times"));
    let right = true;
    for (let done = 0; done < times; done += 1) {
      right &&= await password.verify({ hash: known, password: "correct horse battery staple" });
    }
    return response.end(String(right));
  }
  const key = (request.headers.authorization ?? "").slice("Bearer ".length);
  const answer = await auth.api.verifyApiKey({ body: { key } });
  response.writeHead(answer.valid ? 200 : 401, { "content-type": "text/plain" });
  response.end("hello");
}).listen(port, "127.0.0.1");
