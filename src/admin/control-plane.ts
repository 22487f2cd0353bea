/** What the admin API is told by, and what it tells: the configuration that serves and how it may be changed. */
import type { Problem } from '../config/problem.ts';
import type { GatewayConfig, PolicyUse } from '../config/schema.ts';
import type { PolicyDefinition } from '../contract.ts';
import type { GatewayCounts, GatewayStatus } from '../gateway/gateway.ts';
import type { LimitBook } from '../stores/shared-limits.ts';
import type { BanPlane } from './ban-control.ts';
import type { ConsumerPlane } from './consumer-control.ts';

/** One configuration that serves, or served. */
export interface Revision {
  /** Counts up from 1 within one process. */
  readonly number: number;
  /** Identifies its text and everything that was read with it; what `ETag` and `If-Match` carry, without quotes. */
  readonly digest: string;
  /** Wall-clock milliseconds. */
  readonly appliedAt: number;
  /** What it came by: the start, a change of a file, a signal, the admin API, or the last good document on disk. */
  readonly cause: ReloadCause;
}

export type ReloadCause = 'start' | 'file' | 'signal' | 'api' | 'last-good';

export interface ReloadOutcome {
  /**
   * `applied`: it serves · `unchanged`: it serves already · `valid`: it would (a dry run) · `refused`: it has errors, see
   * `problems`; nothing has changed · `conflict`: `ifMatch` names another revision; nothing has changed.
   */
  readonly result: 'applied' | 'unchanged' | 'valid' | 'refused' | 'conflict';
  /** What serves now. */
  readonly revision: Revision;
  /** All that was found in the document, warnings included. */
  readonly problems: readonly Problem[];
}

export interface ReplaceOptions {
  readonly format: 'yaml' | 'json';
  /** Only if this is the digest of what serves; null for any. */
  readonly ifMatch: string | null;
  /** Only look whether it could be served. */
  readonly dryRun: boolean;
}

/** Something that has happened, for `events`. Plain data without secrets. */
export interface ControlEvent {
  /** `reload`, `refused`, `thread-replaced`, `draining`, … */
  readonly kind: string;
  /** Wall-clock milliseconds. */
  readonly at: number;
  readonly about: Readonly<Record<string, unknown>>;
}

export interface ControlPlane {
  /** Whether every thread serves; false while starting and while draining. */
  readonly isReady: boolean;
  readonly version: string;
  /** Wall-clock milliseconds. */
  readonly startedAt: number;
  readonly revision: Revision;
  /** What serves, with every default filled in. Contains secrets: whoever shows it must hide them (`redact`). */
  readonly config: GatewayConfig;
  /** The text with every secret value in it replaced. */
  redact(text: string): string;
  /** What a use of a policy was made from; its schema says which options are secret. null when that is not known. */
  definitionOf(use: PolicyUse): PolicyDefinition | null;
  /** What was found in the configuration that was looked at last, and whether it was refused. */
  readonly findings: { readonly refused: boolean; readonly problems: readonly Problem[] };
  readonly consumers: ConsumerPlane;
  /** How often another configuration was to serve since the start, by what came of it. A dry run is none. */
  readonly reloads: Readonly<Record<'applied' | 'refused', number>>;
  readonly limits: LimitBook;
  readonly bans: BanPlane;
  status(): Promise<GatewayStatus>;
  /** What was counted since the start, within the `maxSeries` of what serves. */
  counted(): GatewayCounts;
  /** Reads the configuration file again. */
  reload(cause: ReloadCause): Promise<ReloadOutcome>;
  /** Serves another document until the file changes. It is not written to the file. */
  replace(text: string, options: ReplaceOptions): Promise<ReloadOutcome>;
  /** @returns what ends it. */
  subscribe(listener: (event: ControlEvent) => void): () => void;
}
