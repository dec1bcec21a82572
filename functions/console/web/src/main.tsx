// The start of the console.
import { StrictMode } from "react";
import { createRoot } from "react-dom/client";
import { App } from "./app.tsx";
import { takeBrokerReturn } from "./session/broker-return.ts";
import { watchForMailToken } from "./session/mail-token.ts";
import "./styles/tokens.css";
import "./styles/base.css";
import "./styles/components.css";
import "./styles/frame.css";

// A page that was opened before an update asks for chunks that are gone: it is loaded anew, once.
const RELOADED = "reloaded-for-update";
addEventListener("vite:preloadError", (event) => {
  if (sessionStorage.getItem(RELOADED)) return;
  sessionStorage.setItem(RELOADED, "yes");
  event.preventDefault();
  location.reload();
});
addEventListener("load", () => setTimeout(() => sessionStorage.removeItem(RELOADED), 10_000));

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
