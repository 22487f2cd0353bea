/** The endpoints for bans. */
import type { Ban } from '../stores/shared-bans.ts';
import { formatNetwork, parseNetwork } from '../util/ip-network.ts';
import { IpSet } from '../util/ip-set.ts';
import {
  type BanBody,
  type BansQuery,
  type ShownBan,
  banAnswer,
  banBody,
  bansAnswer,
  bansQuery,
} from './ban-schemas.ts';
import { removedAnswer } from './consumer-schemas.ts';
import type { ControlPlane } from './control-plane.ts';
import { type Endpoint, controlEndpoint } from './endpoint.ts';
import { pageOf } from './paging.ts';

const JSON_TYPE = 'application/json';
const maxBodyBytes = 4 * 1024;
const bansPath = '/api/v1/bans';
const maker = 'admin API';

function shown({ network, since, until, by, reason }: Ban): ShownBan {
  return { network: formatNetwork(network), since, until: Math.round(until), by, reason };
}

const listEndpoint = controlEndpoint<BansQuery>({
  method: 'GET',
  path: bansPath,
  operationId: 'listBans',
  summary: 'Who is turned away at the moment, until when and why; the one that ends last first.',
  query: bansQuery,
  answer: { type: JSON_TYPE, schema: bansAnswer },
  handle({ query }, { bans }) {
    const { q, address } = query;
    const wanted = q.toLowerCase();
    const found = bans
      .list()
      .map(shown)
      .filter(({ network, by, reason }) => `${network}\n${by}\n${reason}`.toLowerCase().includes(wanted))
      .filter(({ network }) => address === undefined || IpSet.parse([network]).has(address));
    const { items, ...page } = pageOf(found, query);
    return { json: { ...page, bans: items } };
  },
});

const addEndpoint = controlEndpoint<object, BanBody>({
  method: 'POST',
  path: bansPath,
  operationId: 'addBan',
  summary: 'Turns a client or a network away. All threads refuse it once this is answered.',
  body: { types: [JSON_TYPE], maxBytes: maxBodyBytes, schema: banBody },
  answer: { type: JSON_TYPE, schema: banAnswer },
  refusals: ['BAN_LIST_FULL'],
  handle({ body: { address, network: block, for: forMs, reason } }, control) {
    const network = parseNetwork(address ?? block!)!;
    const name = formatNetwork(network);
    if (isTrustedProxy(address ?? name, control)) {
      return { code: 'ADMIN_BAD_INPUT', detail: `${name} is a trusted proxy, whose clients would be banned with it.` };
    }
    const made = control.bans.order({ network, forMs, by: maker, reason });
    return made === null ? { code: 'BAN_LIST_FULL' } : { json: { ban: shown(made) } };
  },
});

function isTrustedProxy(address: string, { config }: ControlPlane): boolean {
  return Object.values(config.listeners).some(({ trustedProxies }) => IpSet.parse(trustedProxies).has(address));
}

const removeEndpoint = controlEndpoint({
  method: 'DELETE',
  path: `${bansPath}/{network}`,
  operationId: 'removeBan',
  summary: 'Lifts the ban of an address or a network, whoever has made it. A `/` in it is written `%2F`.',
  answer: { type: JSON_TYPE, schema: removedAnswer },
  refusals: ['ADMIN_NOT_FOUND'],
  handle({ params }, { bans }) {
    const network = parseNetwork(params['network'].replaceAll(/%2f/gi, '/').replaceAll(/%3a/gi, ':'));
    if (network === null) {
      return { code: 'ADMIN_BAD_INPUT', detail: 'What is to be lifted is neither an IP address nor a CIDR block.' };
    }
    if (bans.lift(network)) return { json: { removed: true } };
    const detail = `Exactly ${formatNetwork(network)} is not banned; GET ${bansPath}?address= shows what holds for an address.`;
    return { code: 'ADMIN_NOT_FOUND', detail };
  },
});

export const banEndpoints: readonly Endpoint[] = [listEndpoint, addEndpoint, removeEndpoint];
