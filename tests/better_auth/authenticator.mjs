// What a browser and an authenticator do for `navigator.credentials`, in software: ES256, one page at one origin.
import { createHash, generateKeyPairSync, randomBytes, sign } from "node:crypto";

const UP = 0x01, UV = 0x04, AT = 0x40;

function toText(bytes) {
  return Buffer.from(bytes).toString("base64url");
}

function toBuffer(bytes) {
  return Uint8Array.from(bytes).buffer;
}

// --- CBOR, as much as there is to say (RFC 8949) --------------------------------------------------------------------
function head(kind, value) {
  if (value < 24) return Buffer.from([(kind << 5) | value]);
  if (value < 256) return Buffer.from([(kind << 5) | 24, value]);
  return Buffer.from([(kind << 5) | 25, value >> 8, value & 0xff]);
}

function cbor(value) {
  if (typeof value === "number") return value < 0 ? head(1, -1 - value) : head(0, value);
  if (typeof value === "string") return Buffer.concat([head(3, Buffer.byteLength(value)), Buffer.from(value)]);
  if (value instanceof Map) {
    const parts = [...value].flatMap(([key, one]) => [cbor(key), cbor(one)]);
    return Buffer.concat([head(5, value.size), ...parts]);
  }
  return Buffer.concat([head(2, value.length), value]);
}

export function install(origin) {
  const credentials = [];
  let counter = 0;

  function clientData(type, challenge) {
    return Buffer.from(JSON.stringify({ type, challenge: toText(challenge), origin, crossOrigin: false }));
  }

  function data(rpId, flags) {
    const count = Buffer.alloc(4);
    count.writeUInt32BE(counter);
    return Buffer.concat([createHash("sha256").update(rpId).digest(), Buffer.from([flags]), count]);
  }

  async function create({ publicKey }) {
    const excluded = (publicKey.excludeCredentials ?? []).map((one) => toText(new Uint8Array(one.id)));
    if (credentials.some((one) => excluded.includes(toText(one.id)))) {
      throw Object.assign(new Error("it is there already"), { name: "InvalidStateError" });
    }
    const id = randomBytes(32);
    const keys = generateKeyPairSync("ec", { namedCurve: "P-256" });
    const { x, y } = keys.publicKey.export({ format: "jwk" });
    const [xBytes, yBytes] = [Buffer.from(x, "base64url"), Buffer.from(y, "base64url")];
    const cose = cbor(new Map([[1, 2], [3, -7], [-1, 1], [-2, xBytes], [-3, yBytes]]));
    const length = Buffer.from([0, id.length]);
    const attested = Buffer.concat([data(publicKey.rp.id, UP | UV | AT), Buffer.alloc(16), length, id, cose]);
    const attestation = cbor(new Map([["fmt", "none"], ["attStmt", new Map()], ["authData", attested]]));
    credentials.push({ id, key: keys.privateKey, rpId: publicKey.rp.id, user: new Uint8Array(publicKey.user.id) });
    return {
      id: toText(id),
      rawId: toBuffer(id),
      type: "public-key",
      authenticatorAttachment: "platform",
      getClientExtensionResults: () => ({}),
      response: {
        clientDataJSON: toBuffer(clientData("webauthn.create", new Uint8Array(publicKey.challenge))),
        attestationObject: toBuffer(attestation),
        getTransports: () => ["internal"],
      },
    };
  }

  async function get({ publicKey }) {
    const credential = credentials.findLast((one) => one.rpId === publicKey.rpId);
    if (!credential) throw Object.assign(new Error("nothing fits"), { name: "NotAllowedError" });
    counter += 1;
    const said = data(publicKey.rpId, UP | UV);
    const client = clientData("webauthn.get", new Uint8Array(publicKey.challenge));
    const signed = Buffer.concat([said, createHash("sha256").update(client).digest()]);
    return {
      id: toText(credential.id),
      rawId: toBuffer(credential.id),
      type: "public-key",
      authenticatorAttachment: "platform",
      getClientExtensionResults: () => ({}),
      response: {
        clientDataJSON: toBuffer(client),
        authenticatorData: toBuffer(said),
        signature: toBuffer(sign("sha256", signed, credential.key)),
        userHandle: toBuffer(credential.user),
      },
    };
  }

  globalThis.PublicKeyCredential = class PublicKeyCredential {};
  globalThis.window ??= globalThis;
  Object.defineProperty(globalThis, "navigator", {
    value: { credentials: { create, get }, userAgent: "node" },
    configurable: true,
  });
}
