// Signing in: name and password, then the code where there is a second factor, or a new password where the old one has expired.
import { useState } from "react";
import { Navigate, useSearchParams } from "react-router";
import { useSession } from "../session/session.ts";
import { CodeStep } from "./login/code-step.tsx";
import { PasswordStep } from "./login/password-step.tsx";
import { RotateStep } from "./login/rotate-step.tsx";
import type { Step } from "./login/step.ts";

/** Returns where to go after the sign-in: a page of this console and nothing else. */
function destination(next: string | null): string {
  return next?.startsWith("/") && !next.startsWith("//") && !next.includes("\\") ? next : "/";
}

/** One card whose body is replaced from step to step. */
export default function Login() {
  const session = useSession();
  const [search] = useSearchParams();
  const [step, go] = useState<Step>({ at: "password" });
  if (session.state === "signed_in") return <Navigate to={destination(search.get("next"))} replace />;
  if (step.at === "code") return <CodeStep step={step} go={go} />;
  if (step.at === "rotate") return <RotateStep step={step} />;
  return <PasswordStep go={go} failure={step.failure} />;
}
