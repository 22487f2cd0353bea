/** What is wrong with a configuration, where, and what to do about it. */

/** A place in the value of a configuration: keys of mappings and indices of lists, from the root. */
export type Path = readonly (string | number)[];

/** What each code means; the reference is generated from this. */
export const problemCodes = {
  FILE: 'A file cannot be read.',
  SYNTAX: 'The text is not valid YAML or JSON.',
  DUPLICATE_KEY: 'A key is written twice in one mapping.',
  INTERPOLATION: 'A `${…}` names a variable or file that is not there, or is malformed.',
  MODULE: 'A `gateway.config.ts` cannot be loaded, or does not export a configuration.',
  UNKNOWN_KEY: 'A key has no meaning here.',
  MISSING: 'Something that must be given is not.',
  BAD_VALUE: 'A value has the wrong type or is out of range.',
  BAD_NAME: 'A name has characters that names may not have, or is taken.',
  NOT_AVAILABLE: 'Correct, but not available yet. It is refused so that nobody believes that it works.',
  UNKNOWN_UPSTREAM: 'A route names an upstream that does not exist.',
  UNKNOWN_STORE: 'A policy names a store that does not exist.',
  UNKNOWN_LISTENER: 'A route names a listener that does not exist.',
  UNKNOWN_POLICY: 'There is no policy of this name, neither built in nor under `policies`.',
  UNKNOWN_CONSUMER: 'A policy names a consumer that does not exist.',
  UNKNOWN_GROUP: 'A policy names a group that no consumer is in.',
  POLICY_LOAD: 'The module of a policy cannot be loaded, or does not export a policy.',
  POLICY_ORDER: 'A policy needs what only a later one, or none, provides.',
  ROUTE_ACTION: 'A route must do exactly one thing: `upstream`, `redirect` or `respond`.',
  BAD_PATTERN: 'A path pattern or a regular expression is malformed.',
  UNKNOWN_CAPTURE: 'A rewrite, redirect or rule uses what the path of the route does not capture.',
  ROUTE_TIED: 'Two routes are equally specific and match the same request; only their names decide which one gets it.',
  ROUTE_SHADOWED: 'A route never gets a request, because another one goes before it and matches all of them.',
  REGEX_OVERLAP: 'Two regular expressions match the same path; which route gets it cannot be seen from them.',
  BAD_CERTIFICATE: 'A certificate of a listener, or its key, cannot be used. The other certificates keep serving.',
  NO_CERTIFICATE: 'None of the certificates of a TLS listener can be used.',
  BAD_TLS_FILE: 'A certificate authority, or a certificate for upstreams, cannot be used.',
  ADDRESS_TAKEN: 'Two listeners want the same address.',
  ADMIN_EXPOSED: 'The admin port is reachable from other machines, but asks for no token.',
  ADMIN_PLAINTEXT: 'The admin port is reachable from other machines, and its token goes there unencrypted.',
  TRUSTS_EVERYBODY: 'A listener believes what every client says about itself.',
  TLS_UNVERIFIED:
    'The certificate of an upstream or a store is not verified, or a secret goes to a server without TLS.',
  SECRET_IN_CLEAR: 'A secret is written in the file itself instead of being read from the environment or another file.',
  TIMEOUTS: 'A time-out can never be reached, because another one always comes first.',
  NO_EFFECT: 'Something is written where it can have no effect.',
  NEVER_ALLOWED: 'A policy asks for what no caller of the route can have.',
  LOOSE_LIMIT:
    'With `mode: lease` a machine may have so much of a limit in hand that considerably more than it says is let pass.',
  REPEATED: 'The same thing is listed twice.',
  NO_CLIENT_CERTIFICATES: 'A route wants client certificates, which none of its listeners asks for.',
  PREFLIGHT_REFUSED: 'CORS preflights never get to `cors`, because a policy before it refuses them.',
  POLICY_PATH: 'No route brings to a policy what it answers itself, such as the way back from a login.',
  REDIRECT_LOOP: 'A redirect leads to where it is redirected again, and so on.',
  ROUTE_UNREACHABLE: 'A route never gets a request, because no request can be as it asks for.',
  CREDENTIAL_TAKEN:
    'Two consumers have the same name, key, user or certificate: nobody could tell which of them calls. Both places are named.',
  CREDENTIAL_EXPIRED: 'The last day of a credential is over: it is not accepted any more.',
  WEAK_SECRET: 'A secret is so short that it can be found out by trying.',
  PLACEHOLDER: 'Something was left as an example has it, in the form `<…>`, and is nobody’s credential.',
  UNUSED: 'Something is defined, but nothing uses it.',
  EMPTY:
    'There is nothing in the file. A gateway that serves refuses to change to that: it is a file that is being written.',
  CANNOT_SERVE: 'What the configuration describes cannot be made; the message says which part of it, and why.',
  NO_ROUTES: 'There is no route, so that every request is answered 404.',
  CERTIFICATE_EXPIRY: 'A certificate has expired, or is not valid yet.',
} as const;

/** The codes of the loader and of the analysis of routes; another analysis may bring its own. */
export type ProblemCode = keyof typeof problemCodes;

export type Severity = 'error' | 'warning';

/** A problem before its place in the text is known. */
export interface Finding {
  readonly severity: Severity;
  readonly code: ProblemCode | (string & {});
  /** One line; says what is wrong and, where that is not obvious, what to do. Contains no secret. */
  readonly message: string;
  readonly path: Path;
  /** Whether the key at the end of the path is meant rather than its value. */
  readonly atKey?: boolean;
  /** What was probably meant: replaces the key or the name that is wrong. */
  readonly suggestion?: string;
}

export interface Problem {
  /** As it was given to the loader. */
  readonly file: string;
  /** From 1. */
  readonly line: number;
  /** From 1, in UTF-16 code units. */
  readonly column: number;
  readonly severity: Severity;
  readonly code: ProblemCode | (string & {});
  readonly message: string;
  readonly path: Path;
  readonly suggestion?: string;
}

/** One line for people: `gateway.yaml:3:5  error  UNKNOWN_KEY  …`. */
export function formatProblem(problem: Problem): string {
  const { file, line, column, severity, code, message, suggestion } = problem;
  const hint = suggestion === undefined ? '' : ` (did you mean ${JSON.stringify(suggestion)}?)`;
  // A message may quote the file or come from a module; whatever it has in it, a problem is one line of plain text.
  const plain = `${message}${hint}`.replaceAll(/[\u0000-\u001f\u007f-\u009f\u2028\u2029]+/g, ' ');
  return `${file}:${line}:${column}  ${severity}  ${code}  ${plain}`;
}

/** `routes.catalog.policies[2].cors`, for messages that name a place. */
export function formatPath(path: Path): string {
  let text = '';
  for (const key of path) {
    if (typeof key === 'number') text += `[${key}]`;
    else if (/^[A-Za-z0-9_$-]+$/.test(key)) text += text === '' ? key : `.${key}`;
    else text += `[${JSON.stringify(key)}]`;
  }
  return text;
}

/** In the order of the text; what is said twice of one place is said once. */
export function sortProblems(problems: readonly Problem[]): Problem[] {
  const sorted = problems.toSorted(
    (a, b) =>
      compare(a.file, b.file) ||
      a.line - b.line ||
      a.column - b.column ||
      compare(a.severity, b.severity) ||
      compare(a.code, b.code) ||
      compare(a.message, b.message),
  );
  return sorted.filter((problem, index) => index === 0 || !isSame(problem, sorted[index - 1]));
}

function compare(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}

function isSame(a: Problem, b: Problem): boolean {
  return (
    a.line === b.line && a.column === b.column && a.code === b.code && a.message === b.message && a.file === b.file
  );
}
