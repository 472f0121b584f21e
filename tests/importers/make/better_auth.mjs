// Makes a database with better-auth and its plugins, and says on standard output what its users know.
import { betterAuth } from "better-auth";
import { getMigrations } from "better-auth/db/migration";
import { admin, organization, twoFactor } from "better-auth/plugins";
import { apiKey } from "@better-auth/api-key";
import { passkey } from "@better-auth/passkey";
import { createOTP } from "@better-auth/utils/otp";
import { symmetricDecrypt } from "better-auth/crypto";
import { createRequire } from "node:module";

const Database = createRequire(import.meta.url)("better-sqlite3");
const [path, secret, passkeyRow] = process.argv.slice(2);
const database = new Database(path);
const make = (keys) => betterAuth({
  database,
  secret,
  baseURL: "http://localhost:3000",
  emailAndPassword: { enabled: true },
  plugins: [
    twoFactor({ issuer: "Shop" }),
    apiKey([
      { configId: "default", ...keys },
      { configId: "machines", references: "organization", defaultPrefix: "shop_" },
    ]),
    organization(),
    admin(),
    passkey({ rpID: "localhost", rpName: "Shop", origin: "http://localhost:3000" }),
  ],
  telemetry: { enabled: false },
  logger: { disabled: true },
});
const auth = make({ defaultPrefix: "shop_" });
await (await getMigrations(auth.options)).runMigrations();
const context = await auth.$context;

async function signUp(name, email, password) {
  const answer = await auth.api.signUpEmail({ body: { name, email, password }, returnHeaders: true });
  const cookie = answer.headers.getSetCookie().map((each) => each.split(";")[0]).join("; ");
  return { user: answer.response.user, headers: new Headers({ cookie }) };
}

const uma = await signUp("Uma", "uma@example.com", "the old password of uma");
const ben = await signUp("Ben", "ben@example.com", "the old password of ben");
await signUp("Bad", "bad@example.com", "the old password of bad");
await context.adapter.update({ model: "user", where: [{ field: "email", value: "bad@example.com" }], update: { banned: true } });
await context.adapter.update({ model: "user", where: [{ field: "id", value: uma.user.id }], update: { emailVerified: true } });

const key = await auth.api.createApiKey({ body: { name: "orders", userId: uma.user.id, permissions: { orders: ["read"] } } });
const bare = await make({}).api.createApiKey({ body: { name: "bare", userId: ben.user.id } });
const shop = await auth.api.createOrganization({ body: { name: "Shop", slug: "shop" }, headers: uma.headers });
await auth.api.addMember({ body: { organizationId: shop.id, userId: ben.user.id, role: "member" } });

// A key of the organization itself, which outlives the one who made it there; only its server may give it permissions.
const machine = await auth.api.createApiKey({
  body: { configId: "machines", name: "warehouse", organizationId: shop.id, userId: uma.user.id, permissions: { stock: ["read"] } },
});

// Two factors as its own routes turn them on: enable, then the first code.
await auth.api.enableTwoFactor({ body: { password: "the old password of uma" }, headers: uma.headers });
const factor = await context.adapter.findOne({ model: "twoFactor", where: [{ field: "userId", value: uma.user.id }] });
const text = await symmetricDecrypt({ key: context.secretConfig ?? secret, data: factor.secret });
const code = await createOTP(text, { digits: 6, period: 30 }).totp();
await auth.api.verifyTOTP({ body: { code }, headers: uma.headers });

if (passkeyRow) {
  await context.adapter.create({ model: "passkey", data: { ...JSON.parse(passkeyRow), userId: ben.user.id, createdAt: new Date() } });
}
console.log(JSON.stringify({ totp: Buffer.from(text).toString("hex"), key: key.key, bare: bare.key, machine: machine.key }));
database.close();
process.exit(0);
