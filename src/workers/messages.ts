/** What the main thread and a serving thread say to each other: plain data only. */
import type { ListenerAddress } from '../gateway/gateway.ts';
import type { ConfigParcel } from './config-parcel.ts';

/** What a thread is to serve. */
export interface ThreadAssignment {
  readonly config: ConfigParcel;
  /** Its number, from 0; in the access log. */
  readonly thread: number;
  /** Values that no log may show. */
  readonly secrets: readonly string[];
}

export type ToThread =
  | { readonly kind: 'serve'; readonly assignment: ThreadAssignment }
  | { readonly kind: 'stop'; readonly graceMs: number };

export type FromThread =
  | { readonly kind: 'serving'; readonly addresses: readonly ListenerAddress[] }
  /** It could not start: the configuration cannot be compiled, or a listener not opened. */
  | { readonly kind: 'failed'; readonly reason: string; readonly cannotListen: boolean };
