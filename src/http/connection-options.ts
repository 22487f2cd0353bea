/** Which fields a message has for this hop only (RFC 9110, section 7.6.1). */
import type { HeaderList } from '../contract.ts';

const none: ReadonlySet<string> = new Set();

/**
 * The names, in lower case, that `Connection` nominates, with options such as `close` among them. Such a field goes no
 * further: what is verified of a request, or asked about it, must not rest on one that the upstream will not see.
 */
export function namedByConnection(headers: HeaderList): ReadonlySet<string> {
  const values = headers.getAll('connection');
  if (values.length === 0) return none;
  return new Set(values.flatMap((value) => value.toLowerCase().split(',')).map((name) => name.trim()));
}
