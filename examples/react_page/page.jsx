// Sign-up, TOTP, passkey, API key and organization with better-auth's client; the server is czo-auth.
import { apiKeyClient } from "@better-auth/api-key/client";
import { passkeyClient } from "@better-auth/passkey/client";
import { organizationClient, twoFactorClient } from "better-auth/client/plugins";
import { createAuthClient } from "better-auth/react";
import { useState } from "react";
import { createRoot } from "react-dom/client";

const auth = createAuthClient({
  plugins: [twoFactorClient(), apiKeyClient(), organizationClient(), passkeyClient()],
});

function Page() {
  const { data: session, refetch } = auth.useSession();
  const [email, setEmail] = useState("");
  const [password, setPassword] = useState("");
  const [code, setCode] = useState("");
  const [step, setStep] = useState("start");
  const [told, setTold] = useState("");

  // Every call gives { data, error }: an error is shown, else what *then* makes of the data.
  async function call(promise, then) {
    const { data, error } = await promise;
    setTold(error ? `${error.status} ${error.code}` : (await then?.(data)) ?? "done");
    await refetch();
  }

  const signUp = () => call(auth.signUp.email({ email, password, name: email.split("@")[0] }));
  const signIn = () =>
    call(auth.signIn.email({ email, password }), (data) => {
      setStep(data.twoFactorRedirect ? "code" : "start");
      return data.twoFactorRedirect ? "a code is asked for" : "signed in";
    });
  const enable = () =>
    call(auth.twoFactor.enable({ password }), (data) => {
      setStep("code");
      return data.totpURI;
    });
  const verify = () =>
    call(auth.twoFactor.verifyTotp({ code }), () => {
      setStep("start");
      return "two factors proved";
    });

  return (
    <main>
      <h1>Shop</h1>
      <p id="who">{session ? `${session.user.email}, two factors ${session.user.twoFactorEnabled ? "on" : "off"}` : "nobody"}</p>
      {!session && step === "start" && (
        <form onSubmit={(event) => event.preventDefault()}>
          <input aria-label="Email" type="email" value={email} onChange={(event) => setEmail(event.target.value)} />
          <input aria-label="Password" type="password" value={password} onChange={(event) => setPassword(event.target.value)} />
          <button onClick={signUp}>Sign up</button>
          <button onClick={signIn}>Sign in</button>
          <button onClick={() => call(auth.signIn.passkey(), () => "signed in with a passkey")}>Use a passkey</button>
        </form>
      )}
      {step === "code" && (
        <form onSubmit={(event) => event.preventDefault()}>
          <input aria-label="Code" inputMode="numeric" value={code} onChange={(event) => setCode(event.target.value)} />
          <button onClick={verify}>Verify</button>
        </form>
      )}
      {session && step === "start" && (
        <nav>
          <button onClick={enable}>Turn two factors on</button>
          <button onClick={() => call(auth.passkey.addPasskey({ name: "This browser" }), () => "passkey added")}>Add a passkey</button>
          <button onClick={() => call(auth.apiKey.create({ name: "page" }), (data) => data.key)}>Make a key</button>
          <button onClick={() => call(auth.organization.create({ name: "Books", slug: `books-${Date.now()}` }), (data) => data.slug)}>
            Create an organization
          </button>
          <button onClick={() => call(auth.signOut(), () => "signed out")}>Sign out</button>
        </nav>
      )}
      <output id="told">{told}</output>
    </main>
  );
}

createRoot(document.getElementById("root")).render(<Page />);
