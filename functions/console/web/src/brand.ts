// Whose console this is. The service writes it into the page, which would otherwise show one name and then another.

function written(name: string): string {
  return document.querySelector<HTMLMetaElement>(`meta[name="${name}"]`)?.content ?? "";
}

/** The name of the platform and, where it has one, the address of its logo. */
export const brand = { name: written("brand-name") || "Portcullis", logo: written("brand-logo") };
