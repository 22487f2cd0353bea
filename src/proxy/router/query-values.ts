import { decodeFormText } from '../../http/form-text.ts';

/**
 * The parameters of one query. Of each name the first counts.
 *
 * Taken apart on the first question and once, however many rules ask: what a request costs stays linear in its length.
 */
export class QueryValues {
  private query = '';
  private values: Map<string, string> | null = null;

  /** Begins with another query. */
  reset(query: string): void {
    this.query = query;
    this.values = null;
  }

  /** The first value of this name, or undefined. */
  get(name: string): string | undefined {
    if (this.query === '') return undefined;
    this.values ??= takeApart(this.query);
    return this.values.get(name);
  }
}

function takeApart(query: string): Map<string, string> {
  const values = new Map<string, string>();
  for (let start = 0; start < query.length;) {
    let end = query.indexOf('&', start);
    if (end === -1) end = query.length;
    let equals = query.indexOf('=', start);
    if (equals === -1 || equals > end) equals = end;
    if (end > start) {
      const name = decodeFormText(query.slice(start, equals));
      if (!values.has(name)) values.set(name, decodeFormText(query.slice(equals + 1, end)));
    }
    start = end + 1;
  }
  return values;
}
