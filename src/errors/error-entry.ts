/** What is said of each way in which something can go wrong: see the table in `errors.ts`. */

/** Whose fault a failure is: the client's, the gateway's own, or the upstream's. */
export type ErrorSource = 'client' | 'gateway' | 'upstream';

export interface ErrorEntry {
  /** The HTTP status of the reply. 499 is only ever logged: the client that would read it is gone. */
  readonly status: number;
  readonly source: ErrorSource;
  /** Whether sending the very same request again later can succeed. */
  readonly retry: boolean;
  /** The `title` of the problem details: constant, in plain words, without internals. */
  readonly title: string;
  /** The paragraph of the reference: what it means and what to do. */
  readonly help: string;
  /** The error type of `Proxy-Status` (RFC 9209, section 2.3), where one fits. */
  readonly proxyStatus?: string;
}
