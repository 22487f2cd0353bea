import assert from 'node:assert/strict';
import { suite, test } from 'node:test';
import { makeCertificate } from '../support/certificates.ts';
import { loadText, problemsOf } from './load-text.ts';

const UP = 'upstreams: {u: {targets: ["http://127.0.0.1:1"]}}\nroutes: {r: {upstream: u}}\n';

suite('a Unix socket', () => {
  const { cert, key } = makeCertificate({ validTo: new Date(Date.UTC(2031, 0, 1)) });
  const files = { '/gw/site.pem': cert, '/gw/site.key': key };
  const listener = (settings: string): string => `${UP}listeners: {web: {${settings}}}\n`;
  const tls = 'tls: {certificates: [{cert: site.pem, key: site.key}]}';

  test('cannot have TLS behind the PROXY protocol, since its connections have no remote end to be told apart by', async () => {
    assert.deepEqual(await problemsOf(listener(`unix: gw.sock, proxyProtocol: true, ${tls}`), { files }), [
      '3:49 error BAD_VALUE listeners.web.proxyProtocol: a Unix socket cannot have TLS behind the PROXY protocol: ' +
        'listen on a port, or leave TLS to the proxy',
    ]);
  });

  test('can have either', async () => {
    for (const settings of [
      `unix: gw.sock, ${tls}`,
      'unix: gw.sock, proxyProtocol: true',
      `proxyProtocol: true, ${tls}`,
    ]) {
      const { config, problems } = await loadText(listener(settings), { files });
      assert.deepEqual(problems, []);
      assert.ok(config);
    }
  });
});
