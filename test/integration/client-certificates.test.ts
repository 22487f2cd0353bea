/** mtls at real TLS sockets: whom the listener has verified, and nobody else. */
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { type TestContext, describe, it } from 'node:test';
import { type Certificate, makeCertificate } from '../support/certificates.ts';
import { TestGateway, proxyTo } from '../support/gateway.ts';
import { fieldValues } from '../support/message-parser.ts';
import { RawClient } from '../support/raw-client.ts';
import { RawUpstream } from '../support/raw-upstream.ts';

const authority = makeCertificate({ commonName: 'Clients', isAuthority: true });
const stranger = makeCertificate({ commonName: 'Clients', isAuthority: true });
const site = makeCertificate({ commonName: 'a.example', altNames: ['DNS:a.example'] });
const issued = (commonName: string, altName: string, issuer = authority): Certificate =>
  makeCertificate({ commonName, altNames: [altName], issuer });

const mobile = issued('mobile', 'URI:spiffe://example/mobile');
const exact = issued('exact', 'URI:spiffe://example/mobile');
const other = issued('other', 'DNS:other.internal');
const forged = issued('mobile', 'URI:spiffe://example/mobile', stranger);

async function start(t: TestContext, options: object) {
  const upstream = await RawUpstream.start(t);
  const tls = {
    certificates: [{ cert: site.cert, key: site.key }],
    clientAuth: { ca: authority.cert, require: false },
  };
  const gateway = await TestGateway.start(t, {
    ...proxyTo(upstream.url, { listener: { tls }, route: { policies: [{ mtls: options }] } }),
    consumers: {
      mobile: { groups: ['gold'], certificates: [{ san: 'URI:spiffe://example/mobile' }] },
      exact: { certificates: [{ fingerprint: `sha256:${createHash('sha256').update(exact.der).digest('hex')}` }] },
    },
  });
  const ask = async (certificate: Certificate | null) => {
    const own = certificate === null ? {} : { cert: certificate.cert, key: certificate.key };
    const address = { ...gateway.address(), ca: site.cert, servername: 'a.example', ...own };
    const client = await RawClient.connect(t, address);
    client.write('GET / HTTP/1.1\r\nhost: a.example\r\nx-consumer: root\r\n\r\n');
    return client.response();
  };
  return { upstream, gateway, ask };
}

describe('mtls', () => {
  it('knows consumers by their certificates, the very one before a name', async (t) => {
    const { upstream, gateway, ask } = await start(t, {});
    for (const certificate of [mobile, exact, other]) assert.equal((await ask(certificate)).status, 200);
    const told = await Promise.all([0, 1, 2].map((n) => upstream.request(n)));
    assert.deepEqual(
      told.map(({ fields }) => fieldValues(fields, 'x-consumer')),
      [['mobile'], ['exact'], []],
    );
    assert.deepEqual(fieldValues(told[0].fields, 'x-consumer-groups'), ['gold']);
    assert.equal(gateway.observations.length, 3);
  });

  it('refuses who shows none, or one that nobody vouches for, with the same answer', async (t) => {
    const { upstream, gateway, ask } = await start(t, {});
    const answers = [await ask(null), await ask(forged)];
    const shown = answers.map(({ startLine, fields, body }) =>
      JSON.stringify([startLine, fields.filter(([name]) => name.toLowerCase() !== 'date'), body]),
    );
    assert.equal(shown[0], shown[1]);
    assert.match(shown[0], /401 Unauthorized.*"www-authenticate","ClientCertificate"/);
    assert.equal(upstream.requests.length, 0);
    assert.equal((await gateway.observation(1)).reason, 'no client certificate');
  });

  it('lets only certificates pass that have one of the names, where names are given', async (t) => {
    const { gateway, ask } = await start(t, { sans: ['DNS:x', 'DNS:other.internal'] });
    assert.equal((await ask(other)).status, 200);
    assert.equal((await ask(mobile)).status, 401);
    assert.equal((await gateway.observation(1)).reason, 'a client certificate with none of the names');
  });

  it('lets others pass as nobody where it is optional', async (t) => {
    const { upstream, ask } = await start(t, { optional: true });
    assert.equal((await ask(null)).status, 200);
    assert.deepEqual(fieldValues((await upstream.request(0)).fields, 'x-consumer'), []);
  });
});
