// Giving the account its new address, with the link that was mailed there.
import { useText } from "../messages/catalogue.ts";
import { signIn } from "../messages/sign-in/index.ts";
import { client } from "../session/client.ts";
import { MailAction } from "./mail-action.tsx";

/** Asks, and changes the address. */
export default function ConfirmAddress() {
  const t = useText(signIn);
  const words = {
    title: t("change.title"),
    body: t("change.body"),
    verb: t("change.verb"),
    done: t("change.done"),
    doneBody: t("change.doneBody"),
    deadBody: t("change.deadBody"),
  };
  return <MailAction words={words} send={change} />;
}

async function change(token: string): Promise<void> {
  await client.post("/v1/auth/email/change", { body: { token } });
  // The session that asked for it goes on, maybe in this very browser.
  if (client.user) await client.reloadUser().catch(() => undefined);
}
