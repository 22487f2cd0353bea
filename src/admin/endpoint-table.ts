/** Finds endpoints by path. A part of a path in braces stands for any one segment. */
import type { Endpoint } from './endpoint.ts';

export interface FoundEndpoints {
  readonly byMethod: ReadonlyMap<string, Endpoint>;
  readonly params: Readonly<Record<string, string>>;
}

const noParams = Object.freeze({});

export class EndpointTable {
  private readonly exact = new Map<string, Map<string, Endpoint>>();
  private readonly patterns: { readonly pattern: RegExp; readonly byMethod: ReadonlyMap<string, Endpoint> }[] = [];

  constructor(endpoints: readonly Endpoint[]) {
    for (const endpoint of endpoints) {
      const byMethod = this.exact.get(endpoint.path) ?? new Map<string, Endpoint>();
      this.exact.set(endpoint.path, byMethod.set(endpoint.method, endpoint));
    }
    for (const [path, byMethod] of this.exact) {
      if (!path.includes('{')) continue;
      this.patterns.push({ pattern: patternOf(path), byMethod });
      this.exact.delete(path);
    }
  }

  find(path: string): FoundEndpoints | null {
    const byMethod = this.exact.get(path);
    if (byMethod !== undefined) return { byMethod, params: noParams };
    for (const { pattern, byMethod: found } of this.patterns) {
      const match = pattern.exec(path);
      if (match !== null) return { byMethod: found, params: { ...match.groups } };
    }
    return null;
  }
}

/** Names have no characters that would have to be escaped in a URL, so that a segment stands for itself. */
function patternOf(path: string): RegExp {
  return new RegExp(`^${path.replaceAll('.', '\\.').replaceAll(/\{(\w+)\}/g, '(?<$1>[^/]{1,256})')}$`);
}
