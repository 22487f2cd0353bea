import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { describe, it } from 'node:test';
import { CanonicalTarget, canonicalizeTarget } from '../../src/http/path.ts';
import { isAdmin, readersOfAdmin } from './path-decoders.ts';

interface TargetCase {
  readonly name: string;
  readonly method: string;
  readonly target: string;
  readonly must: 'deny' | 'safe' | 'literal' | 'refuse' | 'refuse-or-literal' | 'strip-or-literal' | 'policy';
  readonly treated_as?: string;
}

const cases = readFileSync(new URL('../corpora/request-targets.jsonl', import.meta.url), 'utf8')
  .trim()
  .split('\n')
  .map((line) => JSON.parse(line) as TargetCase);

/** What RFC 3986, section 6.2.2 makes of the literal cases that are not in normal form. */
const normalForms: Readonly<Record<string, string>> = {
  '/public%3f/../admin': '/admin',
  '//evil.example/../admin': '/admin',
  '/%admin': '/%ADmin',
};

describe('the request targets from outside', () => {
  const out = new CanonicalTarget();
  // A route refuses encoded slashes unless it says otherwise.
  const accepts = ({ target, method }: TargetCase): boolean =>
    canonicalizeTarget(target, method, out) && !out.hasEncodedSlash;

  for (const entry of cases) {
    const { name, must, target } = entry;
    const title = `${name} (${must}): ${target}`;
    switch (must) {
      case 'deny':
      case 'safe':
        it(title, () => {
          if (!accepts(entry) || isAdmin(out.matchPath)) return;
          assert.deepEqual(readersOfAdmin(out.path), [], `matched as ${out.matchPath}, sent as ${out.path}`);
        });
        break;
      case 'refuse':
        it(title, () => assert.equal(accepts(entry), false));
        break;
      case 'refuse-or-literal':
      case 'literal':
      case 'strip-or-literal':
        it(title, () => {
          const accepted = accepts(entry);
          if (must === 'refuse-or-literal' && !accepted) return;
          assert.ok(accepted, out.reason);
          assert.equal(out.path + (out.query === '' ? '' : `?${out.query}`), normalForms[target] ?? target);
        });
        break;
      case 'policy':
        // Another path by the RFC: never taken for /admin, unless it is refused or names /admin on another host.
        it(title, () => {
          if (accepts(entry) && out.authority === '') assert.notEqual(out.matchPath, entry.treated_as);
        });
        break;
    }
  }
});
