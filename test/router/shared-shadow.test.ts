/** A rule that several others take everything from, each some of its methods. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { analyseRoutes } from '../../src/proxy/router/analysis.ts';
import type { RouteRule } from '../../src/proxy/router/router.ts';
import { rule } from './requests.ts';

const first = { priority: 1 };
const messages = (...rules: readonly RouteRule<string>[]): string[] =>
  analyseRoutes(rules).map(({ kind, message }) => `${kind}: ${message}`);

describe('a rule with several methods', () => {
  it('never gets a request when others go before it for each of them', () => {
    assert.deepEqual(
      messages(
        rule('y', { ...first, methods: ['POST', 'PUT'] }),
        rule('z', { ...first, methods: ['GET', 'DELETE'], paths: ['/a/*'] }),
        rule('a', { methods: ['GET', 'POST'], paths: ['/a/b'] }),
      ),
      [
        'shadowed: route a never gets a request: z and y go before it and together match all of its requests, such as GET http://any.example/a/b',
      ],
    );
  });

  it('gets one while a method, or some of the requests of one, is left to it', () => {
    const a = rule('a', { methods: ['GET', 'POST'] });
    const y = rule('y', { ...first, methods: ['POST'] });
    const onlySome = [
      { methods: ['PUT'] },
      { methods: ['GET'], headers: [{ name: 'x', equals: '1' }] },
      { methods: ['GET'], hosts: ['h.example'] },
      { methods: ['GET'], listeners: ['web'] },
      { methods: ['GET'], paths: ['/x/*'] },
    ];
    for (const match of onlySome) assert.deepEqual(messages(y, rule('z', { ...first, ...match }), a), []);
  });

  it('gets preflights while nobody else answers them', () => {
    const answering = { answersPreflight: true };
    const y = { ...first, methods: ['POST'] };
    const z = { ...first, methods: ['GET'] };
    const a = rule('a', { methods: ['GET', 'POST'], ...answering });
    assert.deepEqual(messages(rule('y', y), rule('z', z), a), []);
    assert.deepEqual(messages(rule('y', { ...y, ...answering }), rule('z', z), a), []);
    assert.equal(messages(rule('y', { ...y, ...answering }), rule('z', { ...z, ...answering }), a).length, 1);
  });
});
