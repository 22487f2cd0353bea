/** What a router is made from, what it is asked, and what it answers. Plain data; no behaviour. */
import type { HeaderList } from '../../contract.ts';

/** What one header or query parameter must be like. Header names compare case-insensitively, query names exactly. */
export type ValueCondition =
  | { readonly name: string; readonly equals: string }
  | { readonly name: string; readonly present: boolean }
  | { readonly name: string; readonly regex: string };

/** The form of a path (pattern.ts), or a regular expression that the path must contain (linear-regex.ts). */
export type PathMatch = string | { readonly regex: string };

/** Which requests a rule is for. All conditions must hold. */
export interface RouteMatch {
  /** `api.example.com`, or `*.example.com` for all names below it but not the name itself. Empty: any host. */
  readonly hosts: readonly string[];
  /** One of them must match. Empty: any path. */
  readonly paths: readonly PathMatch[];
  /** null: any method. */
  readonly methods: readonly string[] | null;
  /** A condition on a header that is repeated holds when it holds for any of its lines. */
  readonly headers: readonly ValueCondition[];
  /** Compared percent-decoded; of a parameter that is repeated the first one counts. */
  readonly query: readonly ValueCondition[];
  /** null: any listener. */
  readonly listeners: readonly string[] | null;
  /**
   * Not a condition: the caller answers 400 when the rule that wins refuses the encoded slash of the path. Were it one,
   * the encoded slash would lead past a rule that protects a path to the next, more general one (CVE-2021-29492).
   */
  readonly encodedSlash: 'refuse' | 'keep';
  /** Whether the path is matched as it is after `//` was made `/`, or before. */
  readonly emptySegments: 'merge' | 'keep';
}

/** One route for the router. */
export interface RouteRule<T, S = unknown> {
  /** Unique. It decides between rules that are equal in everything else. */
  readonly name: string;
  /** Higher wins, before anything else is compared. */
  readonly priority: number;
  readonly match: RouteMatch;
  /** Whether CORS preflights for the methods of the rule belong to it, although it does not list OPTIONS. */
  readonly answersPreflight: boolean;
  /** What the caller wants back when the rule wins. */
  readonly value: T;
  /** What it wants besides and has in common with many rules, the same object for all of them: it is found sooner. */
  readonly shared: S;
}

/** What the router looks at in a request. */
export interface RoutableRequest {
  readonly listener: string;
  readonly method: string;
  /** Lower-case, without port. */
  readonly host: string;
  /** The canonical path without path parameters (`;x=1`); it has as many segments as `path`. */
  readonly matchPath: string;
  /** The canonical path that is sent on. */
  readonly path: string;
  /** `matchPath` before its empty segments were merged; equal to it when there were none. */
  readonly unmergedMatchPath: string;
  /** `path` before its empty segments were merged; equal to it when there were none. */
  readonly unmergedPath: string;
  /** As on the wire, without `?`. */
  readonly query: string;
  readonly headers: HeaderList;
}

/** The rule that wins and what its path captured. A router has one, which is good until the next match. */
export interface RouteFound<T, S = unknown> {
  readonly kind: 'route';
  /** Rule and value are looked up when they are asked for, and that is likely in memory that no cache has. */
  readonly rule: RouteRule<T, S>;
  readonly value: T;
  /** By which the router gives the value later. Only this answer and this router know the number. */
  readonly number: number;
  /** As the rule has them, and at hand. */
  readonly shared: S;
  readonly encodedSlash: RouteMatch['encodedSlash'];
  readonly emptySegments: RouteMatch['emptySegments'];
  /** As in the path that is sent on: percent-encoded, path parameters included. What `*` stands for is named `*`. */
  readonly params: Readonly<Record<string, string>>;
}

/** No rule matches, but some would if the method were another. */
export interface MethodNotAllowed {
  readonly kind: 'method';
  /** The methods of those rules, sorted. */
  readonly allowed: readonly string[];
}

/** null: no rule matches. */
export type RouteResult<T, S = unknown> = RouteFound<T, S> | MethodNotAllowed | null;
