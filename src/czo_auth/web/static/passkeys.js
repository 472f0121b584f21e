// Passkeys. Each form with data-passkey has the options of one ceremony; this calls the browser and puts its response into
// the form, which is then submitted as usual. Without scripts or passkeys, the forms stay hidden and passwords work.

const SUPPORTED = "PublicKeyCredential" in window && Boolean(navigator.credentials);
const REFRESH_AFTER_MS = 4.5 * 60 * 1000;
const aborting = new AbortController();

function toBytes(text) {
  const base64 = text.replace(/-/g, "+").replace(/_/g, "/");
  return Uint8Array.from(atob(base64), (character) => character.charCodeAt(0));
}

function toText(buffer) {
  const bytes = String.fromCharCode(...new Uint8Array(buffer));
  return btoa(bytes).replace(/\+/g, "-").replace(/\//g, "_").replace(/=+$/, "");
}

function fitsHere(form) {
  // Browsers refuse on any other host, for example on an IP address instead of the name.
  const options = JSON.parse(form.dataset.options);
  const rpId = options.rpId || options.rp.id;
  return location.hostname === rpId || location.hostname.endsWith(`.${rpId}`);
}

function withBytes(options) {
  const read = { ...options, challenge: toBytes(options.challenge) };
  if (read.user) read.user = { ...read.user, id: toBytes(read.user.id) };
  for (const list of ["allowCredentials", "excludeCredentials"]) {
    if (read[list]) read[list] = read[list].map((one) => ({ ...one, id: toBytes(one.id) }));
  }
  return read;
}

function toJson(credential) {
  const said = credential.response;
  const response = { clientDataJSON: toText(said.clientDataJSON) };
  if (said.attestationObject) {
    response.attestationObject = toText(said.attestationObject);
    response.transports = said.getTransports ? said.getTransports() : [];
  } else {
    response.authenticatorData = toText(said.authenticatorData);
    response.signature = toText(said.signature);
    if (said.userHandle) response.userHandle = toText(said.userHandle);
  }
  return { id: credential.id, rawId: toText(credential.rawId), type: credential.type, response };
}

function send(form, credential) {
  form.elements.response.value = JSON.stringify(toJson(credential));
  form.submit();
}

async function ask(form) {
  const publicKey = withBytes(JSON.parse(form.dataset.options));
  const failed = form.querySelector("[data-failed]");
  const button = form.querySelector("button");
  failed.hidden = true;
  button.disabled = true;
  aborting.abort();
  try {
    const credential =
      form.dataset.passkey === "create"
        ? await navigator.credentials.create({ publicKey })
        : await navigator.credentials.get({ publicKey });
    send(form, credential);
  } catch {
    // Canceled, timed out, or no matching passkey: the browser told the user which, and does not tell pages.
    failed.hidden = false;
    button.disabled = false;
    button.focus();
  }
}

async function offerAutofill(form) {
  const available = PublicKeyCredential.isConditionalMediationAvailable;
  if (!available || !(await PublicKeyCredential.isConditionalMediationAvailable())) return;
  try {
    const credential = await navigator.credentials.get({
      publicKey: withBytes(JSON.parse(form.dataset.options)),
      mediation: "conditional",
      signal: aborting.signal,
    });
    send(form, credential);
  } catch {
    // The button, or the password, was used instead.
  }
}

async function createConditionally(form) {
  // A password manager that just filled in the password may add a passkey without a prompt. Only users who already have a
  // second factor and backup codes get the form. Source: WebAuthn Level 3, section 5.1.3.
  const capabilities = PublicKeyCredential.getClientCapabilities && (await PublicKeyCredential.getClientCapabilities());
  if (!capabilities || !capabilities.conditionalCreate) return;
  try {
    const publicKey = withBytes(JSON.parse(form.dataset.options));
    send(form, await navigator.credentials.create({ publicKey, mediation: "conditional" }));
  } catch {
    // It declined or cannot verify the user; no message, because the user did not request it.
  }
}

function refreshWhenStale() {
  // A ceremony is valid for five minutes. If nothing has been typed yet, reload the page to get a new one.
  setTimeout(() => {
    const fields = Array.from(document.querySelectorAll("input:not([type=hidden]):not([type=checkbox])"));
    if (fields.every((field) => field.value === field.defaultValue)) location.reload();
  }, REFRESH_AFTER_MS);
}

function signalAccepted(list) {
  // Password managers remove the passkeys that were removed here. Source: WebAuthn Level 3, section 5.1.10.
  const { rpId, userId, allAcceptedCredentialIds } = JSON.parse(list.dataset.accepted);
  const signal = PublicKeyCredential.signalAllAcceptedCredentials;
  if (signal) signal.call(PublicKeyCredential, { rpId, userId, allAcceptedCredentialIds }).catch(() => {});
}

if (SUPPORTED) {
  const forms = Array.from(document.querySelectorAll("form[data-passkey]")).filter(fitsHere);
  for (const form of forms) {
    form.hidden = false;
    form.addEventListener("submit", (event) => {
      event.preventDefault();
      ask(form);
    });
    if ("autofill" in form.dataset) offerAutofill(form);
  }
  if (forms.length) refreshWhenStale();
  for (const form of Array.from(document.querySelectorAll("form[data-quiet]")).filter(fitsHere)) createConditionally(form);
  for (const list of document.querySelectorAll("[data-accepted]")) signalAccepted(list);
} else {
  for (const note of document.querySelectorAll("[data-no-passkeys]")) note.hidden = false;
}
