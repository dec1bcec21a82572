// Backup codes, shown once: to be printed or copied, and not left by accident.
import { useEffect } from "react";
import { brand } from "../../brand.ts";
import { Button } from "../../components/button.tsx";
import { Dialog } from "../../components/dialog.tsx";
import { CopyButton } from "../../components/secret.tsx";
import { account } from "../../messages/account/index.ts";
import { useText } from "../../messages/catalogue.ts";

interface Props {
  /** Whose they are, for the printed page; nothing where that is not known yet. */
  name?: string;
  codes: readonly string[];
  /** What they are for; the day the phone is lost where nothing is said. */
  about?: string;
  onSaved: () => void;
}

/** The codes in a dialog of their own. */
export function BackupCodes(props: Props) {
  const t = useText(account);
  return (
    <Dialog title={t("security.codes")} onClose={props.onSaved} mustBeAnswered>
      <Codes {...props} />
    </Dialog>
  );
}

/** The codes and what to do with them. Until they are saved, the browser asks before the page is closed. */
export function Codes({ name, codes, about, onSaved }: Props) {
  const t = useText(account);
  useEffect(() => {
    const ask = (event: BeforeUnloadEvent) => event.preventDefault();
    addEventListener("beforeunload", ask);
    return () => removeEventListener("beforeunload", ask);
  }, []);
  return (
    <>
      <div className="stack-tight">
        <p className="notice-title">{t("setup.save")}</p>
        <p>{about ?? t("setup.saveBody")}</p>
      </div>
      <div className="printed">
        <p className="print-only">
          {name === undefined
            ? `${t("security.codes")} · ${brand.name}`
            : t("setup.printTitle", { name, brand: brand.name })}
        </p>
        <ol className="codes">
          {codes.map((code) => (
            <li key={code}>
              <code>{code}</code>
            </li>
          ))}
        </ol>
      </div>
      <div className="row">
        <CopyButton value={codes.join("\n")} label={t("setup.copyAll")} />
        <Button icon="print" onClick={() => print()}>
          {t("setup.print")}
        </Button>
      </div>
      <div className="actions">
        <Button look="primary" onClick={onSaved}>
          {t("setup.saved")}
        </Button>
      </div>
    </>
  );
}
