/** Keeps the secrets of a configuration out of what is explained. */

const hidden = '***';

/** Replaces secrets in a text, also where a path, a query or a quotation has them in another spelling. */
export function hiderOf(secrets: readonly string[]): (text: string) => string {
  // The longest first: one secret may be the beginning of another.
  const spellings = [...new Set(secrets.flatMap(spellingsOf))].toSorted((a, b) => b.length - a.length);
  return (text) => spellings.reduce((shown, spelling) => shown.replaceAll(spelling, hidden), text);
}

function spellingsOf(secret: string): string[] {
  if (secret === '') return [];
  const encoded = secret.isWellFormed() ? [encodeURI(secret), encodeURIComponent(secret)] : [];
  return [secret, ...encoded, JSON.stringify(secret).slice(1, -1)];
}

/** A copy of plain data with every text in it passed through `hide`. */
export function hideIn<T>(value: T, hide: (text: string) => string): T {
  return hideAnywhere(value, hide) as T;
}

function hideAnywhere(value: unknown, hide: (text: string) => string): unknown {
  if (typeof value === 'string') return hide(value);
  if (Array.isArray(value)) return value.map((each) => hideAnywhere(each, hide));
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(Object.entries(value).map(([key, each]) => [key, hideAnywhere(each, hide)]));
}
