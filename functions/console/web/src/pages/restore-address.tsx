// Going back to the address that the account had, with the link that was mailed there when it was changed.
import { useText } from "../messages/catalogue.ts";
import { signIn } from "../messages/sign-in/index.ts";
import { client } from "../session/client.ts";
import { MailAction } from "./mail-action.tsx";

/** Asks, and changes it back. */
export default function RestoreAddress() {
  const t = useText(signIn);
  const words = {
    title: t("restore.title"),
    body: t("restore.body"),
    verb: t("restore.verb"),
    done: t("restore.done"),
    doneBody: t("restore.doneBody"),
    deadBody: t("restore.deadBody"),
  };
  return <MailAction words={words} send={(token) => client.post("/v1/auth/email/restore", { body: { token } })} />;
}
