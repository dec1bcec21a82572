// The trail as a file, with the filters of the page.
import { useState } from "react";
import { Button } from "../../../components/button.tsx";
import { ErrorNotice } from "../../../components/states.tsx";
import { admin } from "../../../messages/admin/index.ts";
import { useText } from "../../../messages/catalogue.ts";
import { csvOf, type Exported, readAll, saveFile, type Wanted } from "./export-file.ts";

type Format = "csv" | "json";
type State =
  | { is: "idle" }
  | { is: "reading"; count: number }
  | { is: "done"; file: Exported }
  | { is: "failed"; error: unknown; format: Format };

/** The buttons, how far it is, and what the file holds. */
export function ExportButtons({ wanted }: { wanted: Wanted }) {
  const t = useText(admin);
  const [state, become] = useState<State>({ is: "idle" });
  const run = (format: Format) => {
    become({ is: "reading", count: 0 });
    readAll(wanted, (count) => become({ is: "reading", count })).then(
      (file) => {
        save(format, file);
        become({ is: "done", file });
      },
      (error) => become({ is: "failed", error, format }),
    );
  };
  const isReading = state.is === "reading";
  return (
    <div className="row">
      {(["csv", "json"] as const).map((format) => (
        <Button key={format} small icon="download" busy={isReading} onClick={() => run(format)}>
          {t(`export.${format}`)}
        </Button>
      ))}
      <p className="muted small" role="status">
        {isReading && t("export.working", { count: state.count })}
        {state.is === "done" &&
          t(state.file.isWhole ? "export.done" : "export.cut", { count: state.file.items.length })}
      </p>
      {state.is === "failed" && <ErrorNotice error={state.error} onRetry={() => run(state.format)} />}
    </div>
  );
}

function save(format: Format, { items }: Exported): void {
  const name = `audit-${new Date().toISOString().slice(0, 10)}.${format}`;
  if (format === "csv") saveFile(name, "text/csv", csvOf(items));
  else saveFile(name, "application/json", `${JSON.stringify(items, null, 2)}\n`);
}
