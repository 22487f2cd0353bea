/**
 * What the other policies cost that have to do with who calls, each against the same requests on a route without any. All
 * requests have all credentials, so that every row has the same head to read.
 */
import { createHash, generateKeyPairSync, randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { gatewrightArm, type Settings } from '../arms/gatewright.ts';
import { BARE_ARM } from './authentication.ts';
import { LOAD_METRICS, runLoad } from './load.ts';
import { smallGet } from './proxying.ts';
import type { Scenario } from './scenario.ts';

const key = `gw_${randomBytes(24).toString('base64url')}`;
const password = randomBytes(12).toString('base64url');
const token = randomBytes(32).toString('base64url');
const headers = {
  'x-api-key': key,
  'x-token': token,
  authorization: `Basic ${Buffer.from(`app:${password}`).toString('base64')}`,
};

const sha256 = createHash('sha256').update(key).digest('hex');
const sha1 = createHash('sha1').update(password).digest('base64');
const consumers = `consumers: {other: {groups: [blocked]}, app: {groups: [gold], apiKeys: [{hash: "sha256:${sha256}"}], basic: {password: "{SHA}${sha1}"}}}`;

/** @param service answers whether a token is active. @param upstreamPort lets everybody pass who asks it. */
function rowsOf(service: string, upstreamPort: number): Readonly<Record<string, Settings>> {
  const signingKey = generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey;
  const pem = JSON.stringify(signingKey.export({ type: 'pkcs8', format: 'pem' }));
  const identity = `identity: {issuer: "https://gateway.example", keys: [${pem}]}`;
  const ask = `url: "http://127.0.0.1:${upstreamPort}/", sendHeaders: [x-token]`;
  return {
    'basicAuth, remembered': { policies: '[{basicAuth: {}}]' },
    'introspection, remembered': { policies: `[{introspection: {url: "${service}", header: x-token, cacheFor: 1h}}]` },
    'forwardAuth, remembered': { policies: `[{forwardAuth: {${ask}, cacheFor: 1h}}]` },
    'forwardAuth, asked each time': { policies: `[{forwardAuth: {${ask}}}]` },
    'anyOf of basicAuth and apiKey': { policies: '[{anyOf: [{basicAuth: {}}, {apiKey: {}}]}]' },
    'apiKey and authorize': { policies: '[{apiKey: {}}, {authorize: {groups: [gold], deny: {groups: [blocked]}}}]' },
    'apiKey and identityToken': {
      policies: '[{apiKey: {}}, {identityToken: {}}]',
      sections: identity,
    },
    'bearer token for the upstream': { upstreamOptions: 'auth: {bearer: "0123456789abcdef"}' },
    'requests to the upstream signed': {
      upstreamOptions:
        'auth: {signature: {keyId: gateway, algorithm: hmac-sha256, key: "0123456789abcdef0123456789abcdef"}}',
    },
  };
}

export const accessPolicies: Scenario = {
  name: 'policies',
  title: 'policies of access',
  method: 'As the bare scenario, with an API key, a password and a token in every request, and one policy that looks.',
  metrics: LOAD_METRICS,
  reference: BARE_ARM,
  arms: ['gatewright'],
  rounds: 5,
  seconds: 2,
  async run(bench, arms) {
    if (!arms.some((arm) => arm.name === 'gatewright')) return [];
    const service = await startIntrospection();
    try {
      const plan = { ...smallGet, request: { ...smallGet.request, headers } };
      const { port } = service.address() as AddressInfo;
      const rows = rowsOf(`http://127.0.0.1:${port}/`, bench.upstream.port);
      const entries = Object.entries(rows).map(([title, settings], index) => {
        const sections = `${consumers}\n${settings.sections ?? ''}`;
        return { arm: gatewrightArm(`policy-${index + 1}`, `Gatewright, ${title}`, { ...settings, sections }), plan };
      });
      return await runLoad(bench, [
        { arm: gatewrightArm(BARE_ARM, 'Gatewright, nobody looks', { sections: consumers }), plan },
        ...entries,
      ]);
    } finally {
      service.close();
      service.closeAllConnections();
    }
  },
};

/** Asked once by each gateway. */
async function startIntrospection(): Promise<Server> {
  const answer = JSON.stringify({ active: true, sub: 'app', scope: 'read write', exp: Date.now() / 1000 + 86_400 });
  const server = createServer((_, response) => response.end(answer));
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return server;
}
