/** How much work a signature is that nobody has verified yet: all of it is done for whoever sends one. */
import assert from 'node:assert/strict';
import { suite, test } from 'node:test';
import { type SignedRequest, parseSignatures, signatureBase } from '../../src/http/signature-base.ts';

function requestOf(fields: Readonly<Record<string, string>>, query = ''): SignedRequest {
  return {
    method: 'GET',
    scheme: 'https',
    authority: 'example.com',
    path: '/',
    query,
    fields: (name) => (name in fields ? [fields[name]] : []),
  };
}

suite('what a hostile request makes of a signature', () => {
  const sixtyFour = (component: (index: number) => string): string =>
    Array.from({ length: 64 }, (_, index) => component(index)).join(' ');

  /** How long it takes to find out what was signed, eight times. */
  const msFor = (request: SignedRequest, components: string): number => {
    const labels = Array.from({ length: 8 }, (_, index) => `s${index}`);
    const inputs = labels.map((label) => `${label}=(${components});created=1;keyid="k"`).join(', ');
    const signatures = parseSignatures(inputs, labels.map((label) => `${label}=:AAAA:`).join(', '));
    const begun = performance.now();
    for (const { input } of signatures!) assert.notEqual(signatureBase(request, input).text, undefined);
    return performance.now() - begun;
  };

  for (const [what, request, components] of [
    [
      'a query of many parameters',
      requestOf({}, `${sixtyFour((index) => `p${index}=1`).replaceAll(' ', '&')}${'&a'.repeat(50_000)}`),
      sixtyFour((index) => `"@query-param";name="p${index}"`),
    ],
    [
      'a dictionary of many members',
      requestOf({ priority: Array.from({ length: 20_000 }, (_, index) => `a${index}`).join() }),
      sixtyFour((index) => `"priority";key="a${index}"`),
    ],
    ['a field full of blanks', requestOf({ 'x-a': `a${' '.repeat(200_000)}b` }), '"x-a"'],
  ] as const) {
    test(`is no work for seconds: ${what}`, () => {
      const ms = msFor(request, components);
      assert.ok(ms < 1_500, `${ms}`);
    });
  }
});
