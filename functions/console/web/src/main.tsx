// The start of the console.
import { StrictMode } from "react";
import { createRoot } from "react-dom/client";
import { App } from "./app.tsx";
import { takeBrokerReturn } from "./session/broker-return.ts";
import { watchForMailToken } from "./session/mail-token.ts";
import { loadAnewAfterUpdates } from "./update.ts";
import "./styles/tokens.css";
import "./styles/base.css";
import "./styles/components.css";
import "./styles/frame.css";

loadAnewAfterUpdates();
watchForMailToken();
takeBrokerReturn();

const root = document.getElementById("root");
if (root) {
  createRoot(root).render(
    <StrictMode>
      <App />
    </StrictMode>,
  );
}
