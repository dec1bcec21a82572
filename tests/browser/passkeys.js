// Passkeys of a page, with the virtual authenticator of the browser (Chrome DevTools Protocol, WebAuthn).
import { button, dialog, heading, PASSWORD, person, settled, signIn } from "./console.js";

/** Plugs an authenticator in: one of the device itself, whose user is verified and whose keys stay where they are. */
export async function plugIn(page, options = {}) {
  const session = await page.context().newCDPSession(page);
  await session.send("WebAuthn.enable", { enableUI: false });
  const { authenticatorId } = await session.send("WebAuthn.addVirtualAuthenticator", {
    options: {
      protocol: "ctap2",
      ctap2Version: "ctap2_1",
      transport: "internal",
      hasResidentKey: true,
      hasUserVerification: true,
      isUserVerified: true,
      automaticPresenceSimulation: true,
      ...options,
    },
  });
  const send = (method, more) => session.send(`WebAuthn.${method}`, { authenticatorId, ...more });
  return {
    send,
    credentials: async () => (await send("getCredentials")).credentials,
    /** Whether somebody is there who touches it. */
    touch: (enabled) => send("setAutomaticPresenceSimulation", { enabled }),
  };
}

/** Adds a passkey on the page of security, with the password as the proof. */
export async function addPasskey(page, service, name) {
  await page.goto(`${service.home}/security`);
  await settled(page);
  await button(page, "Add a passkey").click();
  await dialog(page).getByLabel("Name").fill(name);
  await dialog(page).getByLabel("Your password", { exact: true }).fill(PASSWORD);
  await button(page, "Go on").click();
  await page.getByRole("rowheader", { name }).waitFor();
}

/** Signs somebody in who was not there before and has a passkey of this laptop; the page of security is open. */
export async function withPasskey(page, service) {
  const asha = await person(service);
  const authenticator = await plugIn(page);
  await signIn(page, service, asha);
  await heading(page, "Today").waitFor();
  await addPasskey(page, service, "This laptop");
  return { asha, authenticator };
}

/** Signs out by the menu of the account. */
export async function signOut(page) {
  await page.getByRole("button", { name: /^Account of/ }).click();
  await button(page, "Sign out").click();
  await heading(page, "Sign in").waitFor();
}

/**
 * Has the authenticator touched, asks for a passkey by the button, and waits for what comes of it. What the browser offers in the
 * field for the name is answered by the same touch, and may be faster than the button.
 */
export async function signInWithPasskey(page, authenticator, outcome) {
  await authenticator.touch(true);
  await Promise.any([button(page, "Sign in with a passkey").click(), outcome.waitFor()]);
  await outcome.waitFor();
}
