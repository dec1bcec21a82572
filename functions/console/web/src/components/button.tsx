// Buttons, and links that look like one.
import type { ButtonHTMLAttributes, ReactNode } from "react";
import { Link, type LinkProps } from "react-router";
import { Icon, type IconName } from "./icon.tsx";

/** How much a button stands out: `primary` once a screen, for the one thing to do next. */
export type Look = "primary" | "danger" | "plain" | "quiet";

interface Shape {
  look?: Look;
  small?: boolean;
  wide?: boolean;
  icon?: IconName;
}

function className({ look = "plain", small, wide, icon }: Shape, isBare: boolean): string {
  const names = ["button", `button-${look}`];
  if (small) names.push("button-small");
  if (wide) names.push("button-wide");
  if (icon && isBare) names.push("button-icon");
  return names.join(" ");
}

type ButtonProps = Shape &
  Omit<ButtonHTMLAttributes<HTMLButtonElement>, "className" | "disabled"> & {
    /** Keeps its place and the focus while it waits, and cannot be pressed meanwhile. */
    busy?: boolean;
    children?: ReactNode;
  };

/** A button. Without children it shows its icon alone and needs an `aria-label`. */
export function Button({ look, small, wide, icon, busy, children, onClick, type = "button", ...rest }: ButtonProps) {
  return (
    <button
      {...rest}
      type={type}
      className={className({ look, small, wide, icon }, !children)}
      aria-disabled={busy || undefined}
      onClick={(event) => (busy ? event.preventDefault() : onClick?.(event))}
    >
      {icon && <Icon name={icon} size={small ? 16 : 20} />}
      {children}
    </button>
  );
}

/** A link to another page that looks like a button. */
export function ButtonLink({ look, small, wide, icon, children, ...rest }: Shape & LinkProps) {
  return (
    <Link {...rest} className={className({ look, small, wide, icon }, !children)}>
      {icon && <Icon name={icon} size={small ? 16 : 20} />}
      {children}
    </Link>
  );
}

/** A button that reads like a link, within a sentence or a form. */
export function TextButton({ children, ...rest }: Omit<ButtonHTMLAttributes<HTMLButtonElement>, "className">) {
  return (
    <button type="button" {...rest} className="button-link">
      {children}
    </button>
  );
}
