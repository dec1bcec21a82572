// Deciding about one order: with a passkey where there is one, with a code otherwise; refusing takes neither.
import { useQuery } from "@tanstack/react-query";
import { useState } from "react";
import { Link } from "react-router";
import { Failure, isDismissed } from "../../api/failure.ts";
import { Button } from "../../components/button.tsx";
import { Confirm } from "../../components/confirm.tsx";
import { Dialog } from "../../components/dialog.tsx";
import { CodeField, plainCode } from "../../components/field.tsx";
import type { FormState } from "../../components/form.tsx";
import { Loaded } from "../../components/loaded.tsx";
import { atProof } from "../../components/proof.tsx";
import { Notice } from "../../components/states.tsx";
import { approvals } from "../../messages/approvals/index.ts";
import { useText } from "../../messages/catalogue.ts";
import { core } from "../../messages/core/index.ts";
import { client, type Schemas } from "../../session/client.ts";
import { hasPasskeys } from "../../session/passkey.ts";

/** An approval. */
export type Approval = Schemas["ApprovalItem"];
type Challenge = Schemas["ApprovalChallengeResponse"];

interface DecideProps {
  approval: Approval;
  /** Closes the dialog; with what was decided, if something was. */
  onClose: (how?: "approved" | "refused") => void;
}

/** Asks for the ways there are, and then for one of them. */
export function Approve({ approval, onClose }: DecideProps) {
  const t = useText(approvals);
  const query = useQuery({
    queryKey: ["approval-challenge", approval.approval_id],
    queryFn: () => client.post("/v1/approvals/{id}/challenge", { params: { id: approval.approval_id } }),
    retry: false,
    staleTime: 0,
    gcTime: 0,
    refetchOnWindowFocus: false,
  });
  if (query.data) return <Proved approval={approval} challenge={query.data} onClose={onClose} />;
  const hasNothing = query.error !== null && Failure.of(query.error).code === "mfa_not_set_up";
  return (
    <Dialog title={t("approveTitle")} onClose={() => onClose()}>
      {hasNothing ? (
        <Notice tone="warning" isNews>
          <p>{t("needsFactor")}</p>
          <Link to="/security">{t("security")}</Link>
        </Notice>
      ) : (
        <Loaded query={query} data={undefined}>
          {() => null}
        </Loaded>
      )}
    </Dialog>
  );
}

function Proved({ approval, challenge, onClose }: DecideProps & { challenge: Challenge }) {
  const t = useText(approvals);
  const canUsePasskey = challenge.publicKey != null && hasPasskeys();
  const canUseCode = challenge.methods.includes("code");
  const [usesCode, setUsesCode] = useState(!canUsePasskey);
  const [isDismissedNow, setDismissed] = useState(false);
  const approve = async (data: FormData) => {
    setDismissed(false);
    const proof = usesCode ? { code: plainCode(String(data.get("code"))) } : await shown(challenge, setDismissed);
    if (!proof) return;
    const body: Schemas["DecideApprovalRequest"] = { decision: "approve", ...proof };
    await client.post("/v1/approvals/{id}/decide", { params: { id: approval.approval_id }, body });
    onClose("approved");
  };
  const fields = (form: FormState) => (
    <>
      {isDismissedNow && (
        <Notice tone="warning" isNews>
          {t("dismissed")}
        </Notice>
      )}
      {usesCode && <CodeProof form={form} />}
      {!usesCode && canUseCode && (
        <Button look="quiet" onClick={() => setUsesCode(true)}>
          {t("withCode")}
        </Button>
      )}
    </>
  );
  return (
    <Confirm
      title={t("approveTitle")}
      body={<strong>{approval.display}</strong>}
      verb={t(usesCode ? "approveVerb" : "withPasskey")}
      place={usesCode ? atProof : undefined}
      onConfirm={approve}
      onClose={() => onClose()}
      fields={fields}
    />
  );
}

function CodeProof({ form }: { form: FormState }) {
  const t = useText(approvals);
  const c = useText(core);
  const wrong = form.error("/proof") && c("error.wrongProof");
  return <CodeField label={t("code")} error={wrong ?? form.error("/code")} isBackup autoFocus />;
}

/** What the authenticator of the person signs; undefined where they closed the dialog of the browser. */
async function shown(challenge: Challenge, dismissed: (is: boolean) => void) {
  const publicKey = PublicKeyCredential.parseRequestOptionsFromJSON(challenge.publicKey as never);
  try {
    const credential = await navigator.credentials.get({ publicKey });
    if (!(credential instanceof PublicKeyCredential)) throw new DOMException("no credential", "NotAllowedError");
    const written = credential.toJSON() as unknown as Schemas["AssertionCredential"];
    return { ceremony_token: challenge.ceremony_token, credential: written };
  } catch (error) {
    if (!isDismissed(error)) throw error;
    dismissed(true);
    return undefined;
  }
}

/** Asks once more, because whoever asked is told. */
export function Refuse({ approval, onClose }: DecideProps) {
  const t = useText(approvals);
  const refuse = async () => {
    const body: Schemas["DecideApprovalRequest"] = { decision: "deny" };
    await client.post("/v1/approvals/{id}/decide", { params: { id: approval.approval_id }, body });
    onClose("refused");
  };
  return (
    <Confirm
      title={t("refuseTitle")}
      body={
        <>
          <strong>{approval.display}</strong> {t("refuseBody")}
        </>
      }
      verb={t("refuseVerb")}
      onConfirm={refuse}
      onClose={() => onClose()}
    />
  );
}
