// The way to a broker's login page, which leads back to this console.
import { Icon } from "../../components/icon.tsx";

/** A link to the broker in this tab, so that the way back ends where it began. */
export function LoginLink({ url, isPrimary, isSmall, children }: LoginLinkProps) {
  const look = isPrimary ? "button-primary" : "button-plain";
  return (
    <a href={url} rel="noreferrer" className={`button ${look}${isSmall ? " button-small" : ""}`}>
      {children}
      <Icon name="out" size={16} />
    </a>
  );
}

interface LoginLinkProps {
  url: string;
  isPrimary?: boolean;
  isSmall?: boolean;
  children: string;
}
