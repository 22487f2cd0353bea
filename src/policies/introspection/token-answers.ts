/** What was found out about tokens, so that the server is not asked again with every request. */
import { hash } from 'node:crypto';
import { type PolicyEnv, Refusal } from '../../contract.ts';
import { ExpiringCache } from '../../util/expiring-cache.ts';
import { type IntrospectionEndpoint, type TokenFacts, inactive } from './introspection-endpoint.ts';

/** Of each thread. */
const tokensRemembered = 4096;
/** Apart from the others, so that a flood of bad tokens does not make the good ones forgotten. */
const refusedRemembered = 8192;
/** Short: a server that does not know a token yet may do so in a moment. */
const refusedForMs = 5_000;
/** The server has its own clock, by which the token is valid already. */
const leewayMs = 5_000;

const expired = Refusal.outOfDate('the token has expired');
const notYet = Refusal.outOfDate('the token is not valid yet');

export class TokenAnswers {
  private readonly endpoint: Pick<IntrospectionEndpoint, 'ask'>;
  private readonly cacheForMs: number;
  private readonly env: Pick<PolicyEnv, 'now' | 'wallNow'>;
  /** By the whole token (GHSA-rp9m-7r4c-75qg: a key that two tokens share gives one the claims of the other). */
  private readonly active = new ExpiringCache<TokenFacts>(tokensRemembered);
  /** By the SHA-256 of the token, so that what anybody may send takes up little. */
  private readonly refused = new ExpiringCache<Refusal>(refusedRemembered);
  private readonly underWay = new Map<string, Promise<TokenFacts | Refusal>>();

  constructor(
    endpoint: Pick<IntrospectionEndpoint, 'ask'>,
    cacheForMs: number,
    env: Pick<PolicyEnv, 'now' | 'wallNow'>,
  ) {
    this.endpoint = endpoint;
    this.cacheForMs = cacheForMs;
    this.env = env;
  }

  /** What is known without asking; undefined for nothing. */
  find(token: string): TokenFacts | Refusal | undefined {
    const now = this.env.now();
    const facts = this.active.get(token, now);
    // The wall clock may have been put forward meanwhile.
    if (facts !== undefined) return this.env.wallNow() < facts.expiresAt ? facts : expired;
    return this.refused.size === 0 ? undefined : this.refused.get(digestOf(token), now);
  }

  /** Asks; those who ask for the same token at the same time get one answer. */
  ask(token: string): Promise<TokenFacts | Refusal> {
    const known = this.underWay.get(token);
    if (known !== undefined) return known;
    // A copy: the token is likely a slice that keeps the whole head of a request in memory.
    const key = Buffer.from(token, 'latin1').toString('latin1');
    const answer = this.askAndNote(key).finally(() => this.underWay.delete(key));
    this.underWay.set(key, answer);
    return answer;
  }

  private async askAndNote(token: string): Promise<TokenFacts | Refusal> {
    const found = await this.endpoint.ask(token);
    const answer = found instanceof Refusal ? found : this.inTime(found);
    const now = this.env.now();
    if (answer === inactive || answer === expired) {
      this.refused.set(digestOf(token), answer, now + refusedForMs);
    } else if (!(answer instanceof Refusal) && this.cacheForMs > 0) {
      const leftMs = answer.expiresAt - this.env.wallNow();
      this.active.set(token, answer, now + Math.min(this.cacheForMs, leftMs));
    }
    return answer;
  }

  private inTime(facts: TokenFacts): TokenFacts | Refusal {
    const now = this.env.wallNow();
    if (now >= facts.expiresAt) return expired;
    return now + leewayMs < facts.notBefore ? notYet : facts;
  }
}

function digestOf(token: string): string {
  return hash('sha256', token, 'base64url');
}
