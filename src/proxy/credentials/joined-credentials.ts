import type { MaybePromise } from '../../contract.ts';
import type { SentRequest, UpstreamCredential } from '../upstream-credential.ts';

/** Several credentials for one upstream. Each sees what those before it have added. */
export class JoinedCredentials implements UpstreamCredential {
  readonly replaces: readonly string[];
  private readonly parts: readonly UpstreamCredential[];

  constructor(parts: readonly UpstreamCredential[]) {
    this.parts = parts;
    this.replaces = parts.flatMap(({ replaces }) => replaces);
  }

  ready(): MaybePromise<boolean> {
    let pending: Promise<boolean> | null = null;
    for (const part of this.parts) {
      const ready = part.ready();
      if (ready === false) return false;
      // Only one of them is ever waited for: whoever gives out tokens.
      if (ready instanceof Promise) pending = ready;
    }
    return pending ?? true;
  }

  complete(request: SentRequest): string {
    let { lines } = request;
    for (const part of this.parts) lines = part.complete({ ...request, lines });
    return lines;
  }

  refused(): void {
    for (const part of this.parts) part.refused();
  }
}
