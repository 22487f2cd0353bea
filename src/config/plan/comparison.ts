/** What two configurations are compared with, and how their values are shown. */
import { relative } from 'node:path';
import { isPemText } from '../../wire/tls/pem-source.ts';
import { isMapping } from '../is-mapping.ts';
import { markedKeys } from '../schema-walk.ts';
import { type GatewayConfig, type PolicyUse, gatewaySchema } from '../schema.ts';
import type { PolicyFacts } from './policy-facts.ts';
import { isUnknown } from './unknown-value.ts';

export type Side = 'before' | 'after';

/** What is known beyond the two documents; all of it may be left out. */
export interface DiffSurroundings {
  /** Texts that are never shown: what the configurations took from the environment and from files. */
  readonly secrets?: readonly string[];
  /** What the definition of a policy says of it. */
  readonly factsOf?: (use: PolicyUse) => PolicyFacts | undefined;
  /** A text that is equal for equal contents of a file, by its absolute path; null when it cannot be read. */
  readonly fingerprintOf?: (path: string, side: Side) => string | null;
}

/** Longer texts are cut. */
const MAX_CHARACTERS = 80;

/** Names of options whose values are nobody's business, also where no schema says so. */
const SECRET_KEY = /password|passwd|passphrase|secret|token$|credential|api[-_]?key$|private[-_]?key/i;

/** User and password in a URL. */
const USER_INFO = /\/\/[^\s/?#@]+@/;

/** Those of `upstreams` have names that stand for other things elsewhere; whoever compares upstreams brings them. */
const secretKeys = markedKeys(gatewaySchema.omit({ upstreams: true }), 'secret');

export class Comparison {
  private readonly surroundings: DiffSurroundings;
  private readonly baseDirs: Readonly<Record<Side, string>>;
  private readonly secrets: readonly string[];

  constructor(before: GatewayConfig, after: GatewayConfig, surroundings: DiffSurroundings) {
    this.surroundings = surroundings;
    this.baseDirs = { before: before.baseDir, after: after.baseDir };
    this.secrets = (surroundings.secrets ?? []).filter((text) => text !== '');
  }

  factsOf(use: PolicyUse): PolicyFacts | undefined {
    return this.surroundings.factsOf?.(use);
  }

  /** The keys whose values are secret in the options of a policy. */
  secretKeysOf(use: PolicyUse): ReadonlySet<string> {
    return new Set(this.factsOf(use)?.secretKeys);
  }

  /**
   * A file as it would be written: relative to the folder of its configuration where it is below it. Of what stands in the
   * place of a file, a private key perhaps, only that it does.
   */
  fileName(path: unknown, side: Side): string {
    if (typeof path !== 'string') return String(path);
    if (isPemText(path)) return 'PEM text';
    const name = relative(this.baseDirs[side], path);
    return name === '' || name.startsWith('..') ? path : name;
  }

  /** Whether two file names stand for the same file, or for the same place beside configurations in two folders. */
  isSameFile(before: unknown, after: unknown): boolean {
    if (before === after) return true;
    if (isPem(before) || isPem(after)) return false;
    return this.fileName(before, 'before') === this.fileName(after, 'after');
  }

  /** Whether the contents of two files differ; null when that is not known. */
  differInContent(before: unknown, after: unknown): boolean | null {
    if (typeof before !== 'string' || typeof after !== 'string') return null;
    if (isPem(before) && isPem(after)) return before !== after;
    const [from, to] = [this.fingerprintOf(before, 'before'), this.fingerprintOf(after, 'after')];
    return from === null || to === null ? null : from !== to;
  }

  fingerprintOf(path: unknown, side: Side): string | null {
    return typeof path === 'string' ? (this.surroundings.fingerprintOf?.(path, side) ?? null) : null;
  }

  /** A value as a person would read it; undefined when it is not there, or must not be shown. */
  show(
    value: unknown,
    path: readonly string[],
    keys: ReadonlySet<string> = secretKeys,
    format: (value: unknown) => string = show,
  ): string | undefined {
    if (value === undefined || this.isSecret(value, path, keys)) return undefined;
    const text = format(value);
    return text.length > MAX_CHARACTERS ? `${text.slice(0, MAX_CHARACTERS)}…` : text;
  }

  /** Whether a value, or anything inside of it, must not be shown. */
  isSecret(value: unknown, path: readonly string[], keys: ReadonlySet<string> = secretKeys): boolean {
    if (value === undefined || value === null || typeof value === 'boolean') return false;
    if (isUnknown(value) || path.some((key) => keys.has(key) || SECRET_KEY.test(key))) return true;
    if (typeof value === 'string') return USER_INFO.test(value) || this.secrets.some((text) => value.includes(text));
    if (Array.isArray(value)) return value.some((item) => this.isSecret(item, [], keys));
    if (!isMapping(value)) return false;
    return Object.entries(value).some(
      ([key, item]) => this.isSecret(key, [], keys) || this.isSecret(item, [key], keys),
    );
  }
}

const isPem = (value: unknown): boolean => typeof value === 'string' && isPemText(value);

/** As in YAML: `a`, `[a, b]`, `{key: value}`. */
export function show(value: unknown): string {
  if (value === null || value === undefined) return 'none';
  if (typeof value === 'string') return /^[^\s"',[\]{}]+$/.test(value) ? value : JSON.stringify(value);
  if (Array.isArray(value)) return `[${value.map(show).join(', ')}]`;
  if (value instanceof RegExp || value instanceof Date) return String(value);
  if (isMapping(value)) {
    const entries = Object.entries(value).filter(([, item]) => item !== undefined);
    return `{${entries.map(([key, item]) => `${key}: ${show(item)}`).join(', ')}}`;
  }
  return typeof value === 'object' ? 'something' : `${value as number}`;
}
