// better-auth's official client, unchanged, against the server that the first argument names.
// Prints one JSON line a step: what was asked, the HTTP status, the error's code, and the shape of what came back.
import { createHmac, randomUUID } from "node:crypto";
import { readFile } from "node:fs/promises";
import { setTimeout as pause } from "node:timers/promises";

import { apiKeyClient } from "@better-auth/api-key/client";
import { createAuthClient } from "better-auth/client";
import { organizationClient, twoFactorClient } from "better-auth/client/plugins";

const baseURL = process.argv[2];
// A server that spends TOTP steps wants a later one each time.
const stepsAreSpent = process.argv[3] === "steps-are-spent";
// Where the server writes its mails.
const mailFile = process.argv[4];
const PASSWORD = "correct horse battery staple";
const OTHER_PASSWORD = "another horse, another staple";

// --- a browser, as far as the client needs one ----------------------------------------------------------------------
class Browser {
  cookies = new Map();
  status = 0;

  fetch = async (url, options = {}) => {
    const headers = new Headers(options.headers);
    headers.set("origin", new URL(baseURL).origin);
    if (this.cookies.size > 0) {
      headers.set("cookie", [...this.cookies].map(([name, value]) => `${name}=${value}`).join("; "));
    }
    const response = await fetch(url, { ...options, headers });
    this.status = response.status;
    for (const line of response.headers.getSetCookie()) this.keep(line);
    return response;
  };

  keep(line) {
    const [pair, ...attributes] = line.split(";").map((part) => part.trim());
    const name = pair.slice(0, pair.indexOf("="));
    const ends = attributes.some((attribute) => /^max-age=0$/i.test(attribute));
    if (ends) this.cookies.delete(name);
    else this.cookies.set(name, pair.slice(pair.indexOf("=") + 1));
  }

  forget(part) {
    for (const name of [...this.cookies.keys()]) if (name.includes(part)) this.cookies.delete(name);
  }
}

function person() {
  const browser = new Browser();
  const client = createAuthClient({
    baseURL,
    fetchOptions: { customFetchImpl: browser.fetch },
    plugins: [twoFactorClient(), apiKeyClient(), organizationClient()],
  });
  const email = `person-${randomUUID()}@example.com`;
  return { browser, client, email };
}

// --- recording ------------------------------------------------------------------------------------------------------
function shapeOf(value) {
  if (value === null || value === undefined) return "null";
  if (value instanceof Date) return "date";
  if (Array.isArray(value)) return value.length > 0 ? [shapeOf(value[0])] : [];
  if (typeof value === "object") {
    return Object.fromEntries(Object.entries(value).map(([name, part]) => [name, shapeOf(part)]));
  }
  return typeof value;
}

async function step(name, who, call) {
  const { data, error } = await call;
  const seen = { name, status: who.browser.status, code: error ? (error.code ?? "none") : null };
  if (!error) seen.shape = shapeOf(data);
  process.stdout.write(`${JSON.stringify(seen)}\n`);
  return data;
}

function note(name, fact) {
  process.stdout.write(`${JSON.stringify({ name, fact })}\n`);
}

// --- confirming an address: without it nobody accepts an invitation by its id -----------------------------------------
async function confirmAddress(who) {
  await who.client.sendVerificationEmail({ email: who.email });
  for (const end = Date.now() + 20_000; Date.now() < end; await pause(50)) {
    const [, mail] = (await readFile(mailFile, "utf8")).split(`mail to ${who.email}:`);
    const token = mail?.match(/[?&]token=([\w.-]+)/)?.[1];
    if (token === undefined) continue;
    await who.client.verifyEmail({ query: { token } });
    return;
  }
  throw new Error(`no mail came to ${who.email}`);
}

// --- TOTP, RFC 6238 -------------------------------------------------------------------------------------------------
function base32(text) {
  const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";
  const bits = [...text.replace(/=+$/, "")].map((c) => alphabet.indexOf(c).toString(2).padStart(5, "0")).join("");
  return Buffer.from(bits.match(/.{8}/g).map((byte) => Number.parseInt(byte, 2)));
}

function codeAt(secret, timeStep) {
  const counter = Buffer.alloc(8);
  counter.writeBigUInt64BE(BigInt(timeStep));
  const digest = createHmac("sha1", secret).update(counter).digest();
  const at = digest[19] & 15;
  return String((digest.readUInt32BE(at) & 0x7fffffff) % 1_000_000).padStart(6, "0");
}

class Authenticator {
  last = 0;

  constructor(uri) {
    this.secret = base32(new URL(uri).searchParams.get("secret"));
  }

  right() {
    const now = Math.floor(Date.now() / 30_000);
    this.last = stepsAreSpent ? Math.max(now, this.last + 1) : now;
    return codeAt(this.secret, this.last);
  }

  wrong() {
    const now = Math.floor(Date.now() / 30_000);
    const near = new Set(Array.from({ length: 60 }, (_, step) => codeAt(this.secret, now - 30 + step)));
    for (let code = 0; ; code++) {
      const text = String(code).padStart(6, "0");
      if (!near.has(text)) return text;
    }
  }
}

// --- the story ------------------------------------------------------------------------------------------------------
const signUp = (who, password = PASSWORD) =>
  who.client.signUp.email({ name: "Somebody", email: who.email, password });
const signIn = (who, password = PASSWORD) => who.client.signIn.email({ email: who.email, password });

async function accounts() {
  const ada = person();
  await step("session of nobody", ada, ada.client.getSession());
  await step("list sessions of nobody", ada, ada.client.listSessions());
  await step("sign up: short password", ada, signUp(ada, "short"));
  await step("sign up: long password", ada, signUp(ada, "x".repeat(129)));
  await step("sign up: no address", ada, ada.client.signUp.email({ name: "x", email: "x", password: PASSWORD }));
  await step("sign up", ada, signUp(ada));
  await step("session after sign-up", ada, ada.client.getSession());
  await step("sign up: taken", ada, signUp(ada));
  await step("update user", ada, ada.client.updateUser({ name: "Ada", image: "https://example.com/ada.png" }));
  const changed = await step("session after update", ada, ada.client.getSession());
  note("updated name", changed.user.name);
  await step("sign out", ada, ada.client.signOut());
  await step("session after sign-out", ada, ada.client.getSession());
  await step("sign out again", ada, ada.client.signOut());
  await step("sign in: wrong password", ada, signIn(ada, OTHER_PASSWORD));
  await step("sign in: unknown", ada, ada.client.signIn.email({ email: "nobody@example.com", password: PASSWORD }));
  await step("sign in", ada, signIn(ada));

  const elsewhere = { ...person(), email: ada.email };
  await step("sign in elsewhere", elsewhere, signIn(elsewhere));
  const sessions = await step("list sessions", ada, ada.client.listSessions());
  note("sessions", sessions.length);
  const mine = (await ada.client.getSession()).data.session;
  const other = sessions.find((session) => session.token !== mine.token);
  note("own session is listed by its token", sessions.some((session) => session.token === mine.token));
  await step("revoke session", ada, ada.client.revokeSession({ token: other.token }));
  await step("session of the revoked", elsewhere, elsewhere.client.getSession());
  await step("revoke session again", ada, ada.client.revokeSession({ token: other.token }));
  await step("revoke session: unknown", ada, ada.client.revokeSession({ token: "unknown" }));
  await signIn(elsewhere);
  await step("revoke other sessions", ada, ada.client.revokeOtherSessions());
  await step("session of the other", elsewhere, elsewhere.client.getSession());

  const passwords = { currentPassword: PASSWORD, newPassword: OTHER_PASSWORD };
  await step("change password: wrong", ada, ada.client.changePassword({ ...passwords, currentPassword: "wrong one" }));
  await step("change password: short", ada, ada.client.changePassword({ ...passwords, newPassword: "short" }));
  await step("change password", ada, ada.client.changePassword({ ...passwords, revokeOtherSessions: true }));
  await step("session after the change", ada, ada.client.getSession());
  await step("revoke sessions", ada, ada.client.revokeSessions());
  await step("session after revoking all", ada, ada.client.getSession());
  await step("sign in: old password", ada, signIn(ada));
  await step("sign in: new password", ada, signIn(ada, OTHER_PASSWORD));
  await step("sign in: not remembered", ada, ada.client.signIn.email({ email: ada.email, password: OTHER_PASSWORD, rememberMe: false }));
}

async function twoFactor() {
  const bo = person();
  await step("2fa: enable for nobody", bo, bo.client.twoFactor.enable({ password: PASSWORD }));
  await step("2fa: verify for nobody", bo, bo.client.twoFactor.verifyTotp({ code: "000000" }));
  await step("2fa: backup code for nobody", bo, bo.client.twoFactor.verifyBackupCode({ code: "x" }));
  await signUp(bo);
  await step("2fa: verify before enable", bo, bo.client.twoFactor.verifyTotp({ code: "000000" }));
  await step("2fa: codes before enable", bo, bo.client.twoFactor.generateBackupCodes({ password: PASSWORD }));
  await step("2fa: enable: wrong password", bo, bo.client.twoFactor.enable({ password: OTHER_PASSWORD }));
  await step("2fa: enable", bo, bo.client.twoFactor.enable({ password: PASSWORD }));
  const begun = await step("2fa: enable again", bo, bo.client.twoFactor.enable({ password: PASSWORD }));
  note("backup codes", begun.backupCodes.length);
  note("enabled before the first code", (await bo.client.getSession()).data.user.twoFactorEnabled);
  await step("2fa: URI: wrong password", bo, bo.client.twoFactor.getTotpUri({ password: OTHER_PASSWORD }));
  const again = await step("2fa: URI", bo, bo.client.twoFactor.getTotpUri({ password: PASSWORD }));
  const app = new Authenticator(begun.totpURI);
  note("URI holds the same secret", new URL(again.totpURI).searchParams.get("secret") === new URL(begun.totpURI).searchParams.get("secret"));
  await step("2fa: confirm: wrong code", bo, bo.client.twoFactor.verifyTotp({ code: app.wrong() }));
  await step("2fa: confirm", bo, bo.client.twoFactor.verifyTotp({ code: app.right() }));
  const confirmed = await step("2fa: session after confirming", bo, bo.client.getSession());
  note("enabled after the first code", confirmed.user.twoFactorEnabled);
  await step("2fa: enable when on", bo, bo.client.twoFactor.enable({ password: PASSWORD }));
  await step("2fa: step-up", bo, bo.client.twoFactor.verifyTotp({ code: app.right() }));

  await bo.client.signOut();
  const asked = await step("2fa: sign in", bo, signIn(bo));
  note("methods", asked.twoFactorMethods.includes("totp"));
  await step("2fa: session before the code", bo, bo.client.getSession());
  await step("2fa: sign-in code wrong", bo, bo.client.twoFactor.verifyTotp({ code: app.wrong() }));
  await step("2fa: sign-in backup code wrong", bo, bo.client.twoFactor.verifyBackupCode({ code: "AAAAA-AAAAA" }));
  await step("2fa: sign-in code", bo, bo.client.twoFactor.verifyTotp({ code: app.right() }));
  await step("2fa: session after the code", bo, bo.client.getSession());

  await bo.client.signOut();
  await signIn(bo);
  await step("2fa: backup code", bo, bo.client.twoFactor.verifyBackupCode({ code: begun.backupCodes[0] }));
  await step("2fa: session after the backup code", bo, bo.client.getSession());
  await bo.client.signOut();
  await signIn(bo);
  await step("2fa: backup code again", bo, bo.client.twoFactor.verifyBackupCode({ code: begun.backupCodes[0] }));
  await step("2fa: trust this device", bo, bo.client.twoFactor.verifyTotp({ code: app.right(), trustDevice: true }));
  await step("2fa: codes: wrong password", bo, bo.client.twoFactor.generateBackupCodes({ password: OTHER_PASSWORD }));
  const fresh = await step("2fa: codes", bo, bo.client.twoFactor.generateBackupCodes({ password: PASSWORD }));
  note("fresh codes", fresh.backupCodes.length);

  await bo.client.signOut();
  const trusted = await step("2fa: sign in on a trusted device", bo, signIn(bo));
  note("trusted device is asked", Boolean(trusted.twoFactorRedirect));
  await bo.client.signOut();
  bo.browser.forget("trust_device");
  await signIn(bo);
  await step("2fa: old backup code", bo, bo.client.twoFactor.verifyBackupCode({ code: begun.backupCodes[1] }));
  await step("2fa: fresh backup code", bo, bo.client.twoFactor.verifyBackupCode({ code: fresh.backupCodes[0] }));

  await bo.client.signOut();
  await signIn(bo);
  for (let attempt = 1; attempt <= 5; attempt++) {
    await step(`2fa: wrong ${attempt}`, bo, bo.client.twoFactor.verifyTotp({ code: app.wrong() }));
  }
  await step("2fa: sixth try", bo, bo.client.twoFactor.verifyTotp({ code: app.right() }));
  await step("2fa: after the sixth", bo, bo.client.twoFactor.verifyTotp({ code: app.right() }));
  await signIn(bo);
  await step("2fa: a new sign-in", bo, bo.client.twoFactor.verifyTotp({ code: app.right() }));
  await step("2fa: disable: wrong password", bo, bo.client.twoFactor.disable({ password: OTHER_PASSWORD }));
  await step("2fa: disable", bo, bo.client.twoFactor.disable({ password: PASSWORD }));
  note("enabled after disable", (await bo.client.getSession()).data.user.twoFactorEnabled);
  await step("2fa: codes when off", bo, bo.client.twoFactor.generateBackupCodes({ password: PASSWORD }));
  await bo.client.signOut();
  const plain = await step("2fa: sign in when off", bo, signIn(bo));
  note("asked when off", Boolean(plain.twoFactorRedirect));
}

async function apiKeys() {
  const cy = person();
  const keys = cy.client.apiKey;
  await step("key: create for nobody", cy, keys.create({ name: "machine" }));
  await step("key: list for nobody", cy, keys.list());
  await signUp(cy);
  await step("key: list none", cy, keys.list());
  const bare = await step("key: create bare", cy, keys.create({}));
  const full = { name: "machine", expiresIn: 60 * 60 * 24 * 7, metadata: { place: "cellar" } };
  const created = await step("key: create", cy, keys.create(full));
  note("start is of the key", created.key.startsWith(created.start));
  await step("key: create: name too long", cy, keys.create({ name: "x".repeat(300) }));
  await step("key: create: prefix too long", cy, keys.create({ name: "x", prefix: "x".repeat(40) }));
  await step("key: create: expires too soon", cy, keys.create({ name: "x", expiresIn: 60 }));
  await step("key: create: expires too late", cy, keys.create({ name: "x", expiresIn: 60 * 60 * 24 * 365 * 20 }));
  for (const property of ["remaining", "refillAmount", "refillInterval", "rateLimitMax", "rateLimitTimeWindow"]) {
    await step(`key: create with ${property}`, cy, keys.create({ name: "x", [property]: 5 }));
  }
  await step("key: create with permissions", cy, keys.create({ name: "x", permissions: { orders: ["read"] } }));
  await step("key: create for another", cy, keys.create({ name: "x", userId: "somebody" }));

  const listed = await step("key: list", cy, keys.list());
  note("keys", [listed.apiKeys.length, listed.total]);
  note("list shows no key", !JSON.stringify(listed).includes(created.key));
  const page = await step("key: list a page", cy, keys.list({ query: { limit: 1, offset: 1, sortBy: "createdAt", sortDirection: "asc" } }));
  note("page", [page.apiKeys.length, page.total, page.apiKeys[0].id === created.id]);
  const got = await step("key: get", cy, keys.get({ query: { id: created.id } }));
  note("metadata", got.metadata);
  await step("key: get unknown", cy, keys.get({ query: { id: "unknown" } }));
  const renamed = await step("key: rename", cy, keys.update({ keyId: created.id, name: "engine" }));
  note("new name", renamed.name);
  const disabled = await step("key: disable", cy, keys.update({ keyId: created.id, enabled: false }));
  note("enabled", disabled.enabled);
  await step("key: update nothing", cy, keys.update({ keyId: created.id }));
  await step("key: update unknown", cy, keys.update({ keyId: "unknown", name: "x" }));
  await step("key: update remaining", cy, keys.update({ keyId: created.id, remaining: 5 }));
  const dee = person();
  await signUp(dee);
  await step("key: get another's", dee, dee.client.apiKey.get({ query: { id: created.id } }));
  await step("key: update another's", dee, dee.client.apiKey.update({ keyId: created.id, name: "mine" }));
  await step("key: delete another's", dee, dee.client.apiKey.delete({ keyId: created.id }));
  await step("key: delete", cy, keys.delete({ keyId: created.id }));
  await step("key: delete again", cy, keys.delete({ keyId: created.id }));
  await keys.delete({ keyId: bare.id });
  note("keys at the end", (await keys.list()).data.total);
}

async function organizations() {
  const [ed, fay, gus] = [person(), person(), person()];
  await step("org: list for nobody", ed, ed.client.organization.list());
  await step("org: create for nobody", ed, ed.client.organization.create({ name: "Acme", slug: "acme" }));
  for (const who of [ed, fay, gus]) await signUp(who);
  for (const who of [fay, gus]) await confirmAddress(who);
  const slug = `acme-${randomUUID()}`;
  await step("org: check slug", ed, ed.client.organization.checkSlug({ slug }));
  await step("org: none is active", ed, ed.client.organization.getFullOrganization());
  await step("org: member of none", ed, ed.client.organization.getActiveMember());
  await step("org: role in none", ed, ed.client.organization.getActiveMemberRole());
  const acme = await step("org: create", ed, ed.client.organization.create({ name: "Acme", slug, logo: "https://example.com/a.png", metadata: { size: "big" } }));
  await step("org: create: slug taken", fay, fay.client.organization.create({ name: "Acme", slug }));
  await step("org: check slug: taken", fay, fay.client.organization.checkSlug({ slug }));
  await step("org: create: no name", ed, ed.client.organization.create({ name: "", slug: "x" }));
  const active = await step("org: session has it", ed, ed.client.getSession());
  note("created organization is active", active.session.activeOrganizationId === acme.id);
  await step("org: list", ed, ed.client.organization.list());
  await step("org: deactivate", ed, ed.client.organization.setActive({ organizationId: null }));
  await step("org: activate by slug", ed, ed.client.organization.setActive({ organizationSlug: slug }));
  await step("org: activate", ed, ed.client.organization.setActive({ organizationId: acme.id }));
  await step("org: activate another's", fay, fay.client.organization.setActive({ organizationId: acme.id }));
  await step("org: activate unknown", fay, fay.client.organization.setActive({ organizationId: "unknown" }));
  await step("org: full", ed, ed.client.organization.getFullOrganization());
  await step("org: full by slug", ed, ed.client.organization.getFullOrganization({ query: { organizationSlug: slug } }));
  await step("org: full of another", fay, fay.client.organization.getFullOrganization({ query: { organizationId: acme.id } }));
  await step("org: update", ed, ed.client.organization.update({ organizationId: acme.id, data: { name: "Acme Ltd" } }));
  await step("org: update another's", fay, fay.client.organization.update({ organizationId: acme.id, data: { name: "Mine" } }));

  const invite = { email: fay.email, role: "member", organizationId: acme.id };
  const invited = await step("org: invite", ed, ed.client.organization.inviteMember(invite));
  await step("org: invite again", ed, ed.client.organization.inviteMember(invite));
  await step("org: invite oneself", ed, ed.client.organization.inviteMember({ ...invite, email: ed.email }));
  await step("org: invite: unknown role", ed, ed.client.organization.inviteMember({ ...invite, email: gus.email, role: "emperor" }));
  await step("org: invite into another's", gus, gus.client.organization.inviteMember(invite));
  await step("org: invitations", ed, ed.client.organization.listInvitations());
  await step("org: invitation", fay, fay.client.organization.getInvitation({ query: { id: invited.id } }));
  await step("org: invitation of another", gus, gus.client.organization.getInvitation({ query: { id: invited.id } }));
  await step("org: own invitations", fay, fay.client.organization.listUserInvitations());
  await step("org: accept another's", gus, gus.client.organization.acceptInvitation({ invitationId: invited.id }));
  await step("org: accept unknown", gus, gus.client.organization.acceptInvitation({ invitationId: "unknown" }));
  const joined = await step("org: accept", fay, fay.client.organization.acceptInvitation({ invitationId: invited.id }));
  await step("org: accept again", fay, fay.client.organization.acceptInvitation({ invitationId: invited.id }));
  await step("org: invite a member", ed, ed.client.organization.inviteMember(invite));

  await step("org: members", ed, ed.client.organization.listMembers());
  await step("org: active member", fay, fay.client.organization.getActiveMember());
  await step("org: active role", fay, fay.client.organization.getActiveMemberRole());
  const may = async (name, who, permissions) => {
    const answer = await step(`org: ${name}`, who, who.client.organization.hasPermission({ permissions }));
    note(`may ${name}`, answer.success);
  };
  await may("owner deletes", ed, { organization: ["delete"] });
  await may("member deletes", fay, { organization: ["delete"] });
  await may("member invites", fay, { invitation: ["create"] });
  await step("org: member invites", fay, fay.client.organization.inviteMember({ email: gus.email, role: "member" }));
  await step("org: member updates", fay, fay.client.organization.update({ organizationId: acme.id, data: { name: "Mine" } }));
  await step("org: member deletes it", fay, fay.client.organization.delete({ organizationId: acme.id }));
  await step("org: member removes the owner", fay, fay.client.organization.removeMember({ memberIdOrEmail: ed.email }));
  await step("org: member makes herself owner", fay, fay.client.organization.updateMemberRole({ memberId: joined.member.id, role: "owner" }));
  const promoted = await step("org: promote", ed, ed.client.organization.updateMemberRole({ memberId: joined.member.id, role: "admin" }));
  note("promoted to", promoted.role);
  await may("admin invites", fay, { invitation: ["create"] });
  await step("org: role of an unknown member", ed, ed.client.organization.updateMemberRole({ memberId: "unknown", role: "admin" }));
  await step("org: only owner demotes herself", ed, ed.client.organization.updateMemberRole({ memberId: acme.members[0].id, role: "member" }));
  await step("org: only owner leaves", ed, ed.client.organization.leave({ organizationId: acme.id }));
  await step("org: admin removes the owner", fay, fay.client.organization.removeMember({ memberIdOrEmail: ed.email }));

  const second = await step("org: admin invites gus", fay, fay.client.organization.inviteMember({ ...invite, email: gus.email }));
  await step("org: reject another's", ed, ed.client.organization.rejectInvitation({ invitationId: second.id }));
  await step("org: reject", gus, gus.client.organization.rejectInvitation({ invitationId: second.id }));
  await step("org: accept the rejected", gus, gus.client.organization.acceptInvitation({ invitationId: second.id }));
  const third = await step("org: invite once more", ed, ed.client.organization.inviteMember({ ...invite, email: gus.email }));
  await step("org: cancel as a stranger", gus, gus.client.organization.cancelInvitation({ invitationId: third.id }));
  await step("org: cancel", ed, ed.client.organization.cancelInvitation({ invitationId: third.id }));
  await step("org: accept the cancelled", gus, gus.client.organization.acceptInvitation({ invitationId: third.id }));

  await step("org: remove unknown", ed, ed.client.organization.removeMember({ memberIdOrEmail: "unknown" }));
  await step("org: remove", ed, ed.client.organization.removeMember({ memberIdOrEmail: fay.email }));
  await step("org: remove again", ed, ed.client.organization.removeMember({ memberIdOrEmail: fay.email }));
  const fourth = await ed.client.organization.inviteMember({ ...invite, role: "admin" });
  await fay.client.organization.acceptInvitation({ invitationId: fourth.data.id });
  await step("org: leave", fay, fay.client.organization.leave({ organizationId: acme.id }));
  await step("org: leave again", fay, fay.client.organization.leave({ organizationId: acme.id }));
  await step("org: full after leaving", fay, fay.client.organization.getFullOrganization({ query: { organizationId: acme.id } }));
  await step("org: delete another's", gus, gus.client.organization.delete({ organizationId: acme.id }));
  await step("org: delete", ed, ed.client.organization.delete({ organizationId: acme.id }));
  await step("org: list after deleting", ed, ed.client.organization.list());
}

for (const part of [accounts, twoFactor, apiKeys, organizations]) {
  try {
    await part();
  } catch (fault) {
    process.stdout.write(`${JSON.stringify({ name: `${part.name} broke off`, fact: String(fault.stack) })}\n`);
  }
}
process.exit(0);
