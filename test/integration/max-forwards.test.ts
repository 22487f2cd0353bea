import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { TestGateway, proxyTo } from '../support/gateway.ts';
import { fieldValue } from '../support/message-parser.ts';
import { request } from '../support/raw-client.ts';
import { RawUpstream } from '../support/raw-upstream.ts';

describe('a method', () => {
  it('OPTIONS or TRACE goes no further than Max-Forwards says (RFC 9110, section 7.6.2)', async (t) => {
    const upstream = await RawUpstream.start(t);
    const gateway = await TestGateway.start(
      t,
      proxyTo(upstream.url, { route: { match: { methods: ['OPTIONS', 'TRACE', 'GET'] } } }),
    );
    const ask = async (method: string, ...hops: readonly string[]) => {
      const fields = hops.map((hop) => `Max-Forwards: ${hop}\r\n`).join('');
      return request(t, gateway.address(), `${method} / HTTP/1.1\r\nhost: localhost\r\n${fields}\r\n`);
    };
    const last = await ask('OPTIONS', '0');
    assert.deepEqual([last.status, last.body, fieldValue(last.fields, 'allow')], [200, '', 'OPTIONS, TRACE, GET']);
    assert.equal((await ask('TRACE', '0')).status, 501);
    for (const hops of [['-1'], ['1x'], [''], ['1', '1'], ['99999999999999999999']]) {
      assert.equal(fieldValue((await ask('OPTIONS', ...hops)).fields, 'content-length'), '0', hops.join());
    }
    assert.equal(upstream.requests.length, 0);
    await ask('OPTIONS', '1');
    await ask('TRACE', '10');
    await ask('OPTIONS');
    await ask('GET', '0');
    assert.deepEqual(
      upstream.requests.map(({ method, fields }) => `${method} ${fieldValue(fields, 'max-forwards')}`),
      ['OPTIONS 0', 'TRACE 9', 'OPTIONS undefined', 'GET 0'],
    );
  });

  it('TRACE is sent on only where the route asks for it: it brings back what was meant for the upstream', async (t) => {
    const upstream = await RawUpstream.start(t);
    const gateway = await TestGateway.start(t, proxyTo(upstream.url));
    const answer = await request(t, gateway.address(), 'TRACE / HTTP/1.1\r\nhost: localhost\r\n\r\n');
    assert.equal(answer.status, 501);
    assert.equal(upstream.requests.length, 0);
  });
});
