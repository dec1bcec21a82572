import { Page } from "../../frame/page.tsx";
import { useText } from "../../messages/catalogue.ts";
import { core } from "../../messages/core/index.ts";

/** Not built yet. */
export default function Trouble() {
  const t = useText(core);
  return <Page title={t("nav.trouble")}>{null}</Page>;
}
