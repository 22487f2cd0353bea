import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import * as fc from 'fast-check';
import { normalizePath } from '../../src/http/path-normal-form.ts';
import { CanonicalTarget, canonicalizePath, canonicalizeTarget } from '../../src/http/path.ts';
import { isAdmin, readersOfAdmin } from './path-decoders.ts';

/** The pieces that attacks on paths are made of. */
const pieces =
  '/ / / // . .. %2e %2E ; ;x=1 %3b %3B %2f %2F %5c \\ % %% %25 a admin x %61dmin %c0%af %e0%80%af %C3%A9 %ff %00 %0a %0D %7f %20 ' +
  '%23 %3F %u002e %252e %252f [ ] { | ^ # ~ %7e @ : = * \u00e9 \u0100';
const piece = fc.constantFrom(' ', '\n', ...pieces.split(' '));
const pathText = fc.array(piece, { maxLength: 14 }).map((parts) => `/${parts.join('')}`);
const anyText = fc.oneof(
  pathText,
  fc.string({ unit: 'binary' }),
  fc
    .tuple(
      fc.constantFrom('http://h', 'HTTPS://h:1', '*', '', 'x'),
      pathText,
      fc.constantFrom('', '?', '?a=%2', '?b[]=1|'),
    )
    .map((parts) => parts.join('')),
);
const runs = { numRuns: 4000 };

function canonical(target: string): CanonicalTarget | null {
  const out = new CanonicalTarget();
  return canonicalizeTarget(target, 'GET', out) ? out : null;
}

describe('canonical targets, whatever arrives', () => {
  it('are made without throwing, or refused with a reason and nothing else', () => {
    fc.assert(
      fc.property(anyText, (text) => {
        const out = new CanonicalTarget();
        if (canonicalizeTarget(text, 'GET', out)) assert.equal(out.reason, '');
        else assert.deepEqual(out, Object.assign(new CanonicalTarget(), { reason: out.reason }));
        assert.equal(out.reason === '', out.path !== '');
      }),
      runs,
    );
  });

  it('are the same from the fast path and from the slow one', () => {
    fc.assert(
      fc.property(pathText, (path) => {
        const out = new CanonicalTarget();
        const accepted = canonicalizePath(path, out);
        const slow = normalizePath(path);
        if (typeof slow === 'string') {
          assert.equal(accepted, false);
          assert.equal(out.reason, slow);
        } else {
          assert.ok(accepted);
          const { path: sent, matchPath, unmergedPath, unmergedMatchPath, hasEncodedSlash, hasEmptySegments } = out;
          assert.deepEqual(
            { path: sent, matchPath, unmergedPath, unmergedMatchPath, hasEncodedSlash, hasEmptySegments },
            slow,
          );
        }
      }),
      runs,
    );
  });

  it('are the same from both paths for every escape in every place', () => {
    const out = new CanonicalTarget();
    for (let byte = 0; byte < 256; byte++) {
      const upper = `%${byte.toString(16).toUpperCase().padStart(2, '0')}`;
      for (const escape of [upper, upper.toLowerCase()]) {
        for (const path of [
          `/${escape}`,
          `/a${escape}b`,
          `/a${escape}`,
          `/${escape}b`,
          `/a${escape};x/b`,
          `/a${escape}/b`,
        ]) {
          const accepted = canonicalizePath(path, out);
          const slow = normalizePath(path);
          assert.equal(accepted ? out.path : out.reason, typeof slow === 'string' ? slow : slow.path, path);
          if (typeof slow === 'string') continue;
          assert.equal(out.matchPath, slow.matchPath, path);
          assert.equal(out.hasEncodedSlash, slow.hasEncodedSlash, path);
        }
      }
    }
  });

  it('stay as they are when made canonical again', () => {
    fc.assert(
      fc.property(pathText, (text) => {
        const first = canonical(text);
        if (first === null) return;
        const merged = canonical(first.path);
        assert.equal(merged?.path, first.path);
        assert.equal(merged?.matchPath, first.matchPath);
        assert.equal(merged?.hasEmptySegments, false);
        const unmerged = canonical(first.unmergedPath);
        assert.equal(unmerged?.unmergedPath, first.unmergedPath);
        assert.equal(unmerged?.unmergedMatchPath, first.unmergedMatchPath);
        assert.equal(unmerged?.path, first.path);
      }),
      runs,
    );
  });

  it('are matched without parameters, empty segments and dot segments, segment by segment as they are sent', () => {
    fc.assert(
      fc.property(pathText, (text) => {
        const out = canonical(text);
        if (out === null) return;
        assert.doesNotMatch(out.unmergedMatchPath, /;|%3B/);
        assert.doesNotMatch(out.matchPath, /;|%3B|\/\/|\/\.\.?(?:\/|$)/);
        for (const [sent, matched] of [
          [out.path, out.matchPath],
          [out.unmergedPath, out.unmergedMatchPath],
        ]) {
          const names = matched.split('/');
          assert.equal(sent.split('/').length, names.length);
          for (const [index, segment] of sent.split('/').entries()) {
            // Only parameters are missing, and those of each part between encoded slashes.
            const name = segment
              .split('%2F')
              .map((part) => part.replace(/(?:;|%3B).*/, ''))
              .join('%2F');
            assert.equal(name, names[index]);
          }
        }
        if (!out.hasEmptySegments) assert.equal(out.unmergedPath, out.path);
      }),
      runs,
    );
  });

  it('contain nothing that a URL parser would still resolve or escape', () => {
    fc.assert(
      fc.property(pathText, (text) => {
        const out = canonical(text);
        if (out === null) return;
        for (const path of [out.path, out.matchPath, out.unmergedPath]) {
          assert.match(path, /^\/(?:[\w.~!$&'()*+,;=:@/-]|%[\dA-F]{2})*$/);
          assert.equal(new URL(`http://host${path}`).pathname, path);
        }
      }),
      runs,
    );
  });

  it('name what a URL parser finds in the target', () => {
    const read = (path: string): string =>
      Buffer.from(path.replace(/%25/g, '%2525'))
        .toString()
        .replace(/%[\dA-Fa-f]{2}/g, (escape) => escape.toUpperCase());
    fc.assert(
      fc.property(pathText, (text) => {
        const out = canonical(text);
        // Empty segments are where it and others differ, so that this gateway merges them.
        if (out === null || out.hasEmptySegments || /\/\//.test(text)) return;
        const expected = read(new URL(`http://host${text}`).pathname)
          .replaceAll('%61', 'a')
          .replaceAll('%7E', '~')
          .replaceAll('%2E', '.')
          .replaceAll('[', '%5B')
          .replaceAll(']', '%5D');
        assert.equal(read(out.path), expected);
      }),
      runs,
    );
  });

  it('are never read as /admin by an upstream when the gateway did not match them as that (SECURITY, section A)', () => {
    fc.assert(
      fc.property(pathText, (text) => {
        const out = canonical(text);
        if (out === null || out.hasEncodedSlash || isAdmin(out.matchPath)) return;
        assert.deepEqual(
          readersOfAdmin(out.path),
          [],
          `${text} is matched as ${out.matchPath} and sent as ${out.path}`,
        );
      }),
      { numRuns: 20_000 },
    );
  });
});
