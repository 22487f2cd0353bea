import type { SentRequest, UpstreamCredential } from '../upstream-credential.ts';

/** The same fields for each request: a token, a password, the key of an API. */
export class FixedFields implements UpstreamCredential {
  readonly replaces: readonly string[];
  private readonly lines: string;

  /** @param fields names and values that were validated. */
  constructor(fields: readonly (readonly [name: string, value: string])[]) {
    this.replaces = fields.map(([name]) => name.toLowerCase());
    this.lines = fields.map(([name, value]) => `${name.toLowerCase()}: ${value}\r\n`).join('');
  }

  ready(): boolean {
    return true;
  }

  complete({ lines }: SentRequest): string {
    return lines + this.lines;
  }

  refused(): void {
    // There is no other one.
  }
}
