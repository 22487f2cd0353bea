/** Makes values fit for the application log: nothing secret, nothing endless, nothing that cannot be written as JSON. */

/** What stands where a secret was. */
export const secret = '[secret]';

/** A shorter text is found everywhere by chance. */
const minSecretLength = 4;
const maxDepth = 5;
const maxItems = 50;
const maxTextLength = 4096;

/** Names of fields whose values are nobody's business, whatever they hold. */
const secretName =
  /password|passwd|passphrase|secret|token|credential|api[-_]?key|private[-_]?key|^(?:proxy-)?authorization$|cookie/i;
const privateKey = /-----BEGIN [A-Z ]*PRIVATE KEY-----[\s\S]*?(?:-----END [A-Z ]*PRIVATE KEY-----|$)/g;
/** User and password in a URL. Without the scheme, which would be looked for anew at each letter of a long text. */
const userInfo = /:\/\/[^\s/?#@]+@/g;

/** The text without what is secret by its form, whatever it is called: private keys, and passwords in URLs. */
export function hideByForm(text: string): string {
  return text.replaceAll(privateKey, secret).replaceAll(userInfo, `://${secret}@`);
}

/**
 * Secrets are recognised three ways (CVE-2025-62232): by the name of their field, by their form (private keys, passwords
 * in URLs), and, for those that the configuration took from the environment or a file, by their value wherever it turns
 * up: in a message of another library, in a path, percent-encoded.
 */
export class SecretFilter {
  private values: readonly string[] = [];

  constructor(secrets: Iterable<string>) {
    this.add(secrets);
  }

  add(secrets: Iterable<string>): void {
    const spellings = [...secrets]
      .filter(({ length }) => length >= minSecretLength)
      .flatMap((value) => [value, encodeURIComponent(value)]);
    // The longest first: one secret may be the beginning of another.
    this.values = [...new Set([...this.values, ...spellings])].toSorted((a, b) => b.length - a.length);
  }

  text(text: string): string {
    let clean = text;
    for (const value of this.values) clean = clean.replaceAll(value, secret);
    clean = hideByForm(clean);
    return clean.length > maxTextLength ? `${clean.slice(0, maxTextLength)}…` : clean;
  }

  fields(fields: Readonly<Record<string, unknown>>): Record<string, unknown> {
    return this.members(fields, 0);
  }

  private value(value: unknown, depth: number): unknown {
    switch (typeof value) {
      case 'string':
        return this.text(value);
      case 'bigint':
      case 'symbol':
      case 'function':
        return this.text(String(value));
      case 'object':
        return value === null ? null : this.object(value, depth);
      default:
        return value;
    }
  }

  private object(value: object, depth: number): unknown {
    if (depth > maxDepth) return '…';
    if (value instanceof Error) return this.error(value, depth);
    if (ArrayBuffer.isView(value)) return `[${value.byteLength} bytes]`;
    if (hasJsonForm(value)) return this.value(value.toJSON(), depth + 1);
    if (value instanceof Map) return this.members(Object.fromEntries(value as Map<string, unknown>), depth + 1);
    if (Array.isArray(value) || value instanceof Set) {
      return [...value].slice(0, maxItems).map((item) => this.value(item, depth + 1));
    }
    return this.members(value as Readonly<Record<string, unknown>>, depth + 1);
  }

  private members(fields: Readonly<Record<string, unknown>>, depth: number): Record<string, unknown> {
    const clean: Record<string, unknown> = Object.create(null) as Record<string, unknown>;
    for (const [name, value] of Object.entries(fields).slice(0, maxItems)) {
      clean[this.text(name)] = secretName.test(name) && value != null ? secret : this.value(value, depth);
    }
    return clean;
  }

  private error(error: Error, depth: number): Record<string, unknown> {
    const { name, message, stack, cause } = error;
    const { code } = error as NodeJS.ErrnoException;
    return this.members(
      { name, message, ...(code === undefined ? {} : { code }), stack, ...(cause === undefined ? {} : { cause }) },
      depth + 1,
    );
  }
}

function hasJsonForm(value: object): value is { toJSON(): unknown } {
  return 'toJSON' in value && typeof value.toJSON === 'function';
}
