// Verifies an access token as another service does, with jose and what the server publishes.
// Prints what the token says, or the code of the error.
import { createRemoteJWKSet, errors, jwtVerify } from "jose";

const [token, jwks, issuer, audience] = process.argv.slice(2);
try {
  const keys = createRemoteJWKSet(new URL(jwks));
  const { payload, protectedHeader } = await jwtVerify(token, keys, {
    issuer,
    audience,
    typ: "at+jwt",
    algorithms: ["ES256"],
    requiredClaims: ["sub", "client_id", "exp", "iat", "jti"],
  });
  process.stdout.write(JSON.stringify({ payload, header: protectedHeader }));
} catch (error) {
  if (!(error instanceof errors.JOSEError)) throw error;
  process.stdout.write(JSON.stringify({ error: error.code }));
}
