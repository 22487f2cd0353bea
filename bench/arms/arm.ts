/** An arm of the comparison: one gateway, how it is configured and how it is started. */
import type { Launch } from '../lab.ts';

/** The work a gateway is set up for; the same for every arm of a scenario. */
export interface Assignment {
  /** Where configuration and temporary files go; exists and belongs to this arm alone. */
  readonly directory: string;
  /** Where to listen, on 127.0.0.1. */
  readonly port: number;
  /** A second free port, for arms that have an admin interface that cannot be switched off. */
  readonly adminPort: number;
  readonly upstreamPort: number;
  /** Set when the gateway terminates TLS. PEM files. */
  readonly tls: Certificate | undefined;
  /** How many routes `/service-<n>/*` to have; 0 means one route for everything. */
  readonly routes: number;
  /** How many client connections may be open at once. */
  readonly clients: number;
  /** What every request has in its head besides `Host`, so that it is let in. */
  readonly headers: Readonly<Record<string, string>>;
}

export interface Certificate {
  readonly certFile: string;
  readonly keyFile: string;
  /** Both in one file, as HAProxy wants them. */
  readonly combinedFile: string;
}

export interface Arm {
  /** As `--arms` takes it. */
  readonly name: string;
  /** As the report shows it. */
  readonly title: string;
  /** Whether it routes at all; arms that do not are left out of the scenarios about routes. */
  readonly routes: boolean;
  /** The version that will be measured, or undefined when it is not installed. */
  version(): string | undefined;
  /** What to install when `version` finds nothing. */
  readonly installHint: string;
  /** Writes the configuration and says what to start. */
  prepare(assignment: Assignment): Launch;
}

/** Prefixes of the routes of an assignment, without the trailing slash. */
export function routePrefixes(count: number): string[] {
  return Array.from({ length: count }, (_, index) => `/service-${index}`);
}
