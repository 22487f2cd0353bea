import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { describe, it } from 'node:test';
import * as fc from 'fast-check';
import {
  type ClientView,
  type ForwardingFields,
  appendVia,
  forwarded,
  forwardedElement,
  forwardedFor,
  forwardedPort,
  goesInCircles,
  parseForwardedElement,
  resolveClient,
} from '../../src/http/forwarded.ts';
import { isFieldValue } from '../../src/http/grammar.ts';
import { IpSet } from '../../src/util/ip-set.ts';

const trusted = IpSet.parse(['10.0.0.0/8', 'fd00::/8']);
const direct: ClientView = { ip: '10.0.0.1', scheme: 'http', host: 'api.example.com', port: 8080 };

function received(fields: Partial<ForwardingFields>): ForwardingFields {
  return { forwarded: '', xForwardedFor: '', xForwardedProto: '', xForwardedHost: '', xForwardedPort: '', ...fields };
}

describe('resolveClient', () => {
  it('believes nothing of a peer that is not trusted', () => {
    const stranger = { ...direct, ip: '203.0.113.9' };
    const lies = received({
      xForwardedFor: '127.0.0.1',
      xForwardedProto: 'https',
      xForwardedHost: 'admin.internal',
      xForwardedPort: '1',
      forwarded: 'for=127.0.0.1',
    });
    assert.equal(resolveClient(stranger, trusted, lies), stranger);
    assert.equal(resolveClient(direct, IpSet.parse([]), lies), direct);
  });

  it('does not even look at the fields when nobody is trusted', () => {
    const untouchable = new Proxy(received({}), {
      get: () => assert.fail('a field was read'),
    });
    assert.equal(resolveClient(direct, IpSet.parse([]), untouchable), direct);
  });

  const walks: readonly (readonly [list: string, client: string, why: string])[] = [
    ['', '10.0.0.1', 'there is no list'],
    ['203.0.113.9', '203.0.113.9', 'the peer vouches for it'],
    ['1.1.1.1, 203.0.113.9', '203.0.113.9', 'what is left of an untrusted address is invented'],
    ['203.0.113.9,10.0.0.7 , 10.0.0.8', '203.0.113.9', 'trusted hops are walked through'],
    ['10.0.0.6, 10.0.0.7', '10.0.0.6', 'all are trusted, so the farthest is the client'],
    ['203.0.113.9, garbage, 10.0.0.7', '10.0.0.7', 'garbage ends the walk'],
    ['203.0.113.9, unknown', '10.0.0.1', 'unknown ends the walk'],
    ['203.0.113.9, , 10.0.0.7', '10.0.0.7', 'an empty member ends the walk'],
    ['203.0.113.9,', '10.0.0.1', 'an empty last member ends the walk'],
    [',', '10.0.0.1', 'there are only empty members'],
    [',203.0.113.9', '203.0.113.9', 'an empty first member is not reached'],
    ['203.0.113.9:4711', '203.0.113.9', 'some proxies add the port'],
    ['2001:DB8::0:1', '2001:db8::1', 'bare IPv6 is common'],
    ['[2001:db8::1]', '2001:db8::1', 'brackets are allowed'],
    ['[2001:db8::1]:443', '2001:db8::1', 'brackets and a port are allowed'],
    ['::ffff:203.0.113.9', '203.0.113.9', 'a mapped address is the address it maps'],
    ['203.0.113.9, ::ffff:10.0.0.7', '203.0.113.9', 'a mapped trusted hop is trusted'],
    ['203.0.113.9:', '10.0.0.1', 'a colon needs a port'],
    ['203.0.113.9:123456', '10.0.0.1', 'a port has five digits at most'],
    ['[203.0.113.9]', '10.0.0.1', 'IPv4 has no brackets'],
    ['[2001:db8::1', '10.0.0.1', 'brackets match'],
    ['fe80::1%eth0', '10.0.0.1', 'a zone means nothing to others'],
    ['010.0.0.1', '10.0.0.1', 'a leading zero is no address'],
    ['"203.0.113.9"', '10.0.0.1', 'quotes belong to the other field'],
  ];
  for (const [list, client, why] of walks) {
    it(`takes ${client} for the client of X-Forwarded-For ${JSON.stringify(list)}: ${why}`, () => {
      assert.equal(resolveClient(direct, trusted, received({ xForwardedFor: list })).ip, client);
    });
  }

  it('never lets a client choose its address behind a trusted proxy that appends, whatever it sends', () => {
    const hostile = fc.oneof(
      fc
        .array(fc.constantFrom(' ', ',', ';', '=', '"', '\\', '[', ']', ':', '.', '1', 'for'), { maxLength: 40 })
        .map((parts) => parts.join('')),
      fc.constantFrom('for="', '10.0.0.2, ', 'for=10.0.0.2;', '"', 'for="[', '\\', 'for=10.0.0.2, for="\\'),
    );
    fc.assert(
      fc.property(hostile, fc.constantFrom('203.0.113.9', '"[2001:db8::9]:80"', '"[2001:db8::9]"'), (lie, node) => {
        const client = node.startsWith('"') ? '2001:db8::9' : node;
        const list = `${lie}, ${client}`;
        assert.equal(resolveClient(direct, trusted, received({ xForwardedFor: list })).ip, client);
        const elements = `${lie}, for=${node};proto=https, for="[fd00::1]"`;
        const view = resolveClient(direct, trusted, received({ forwarded: elements }));
        assert.deepEqual([view.ip, view.scheme], [client, 'https']);
      }),
    );
  });

  it('takes scheme, host and port from what the nearest proxy wrote, and the rest from the connection', () => {
    const view = resolveClient(
      direct,
      trusted,
      received({
        xForwardedFor: '203.0.113.9',
        xForwardedProto: 'http, HTTPS',
        xForwardedHost: 'evil.example, Shop.Example.com:8443',
      }),
    );
    assert.deepEqual(view, { ip: '203.0.113.9', scheme: 'https', host: 'shop.example.com', port: 8443 });
    const noPort = resolveClient(direct, trusted, received({ xForwardedHost: 'shop.example.com' }));
    assert.deepEqual(noPort, { ip: '10.0.0.1', scheme: 'http', host: 'shop.example.com', port: 0 });
    const port = resolveClient(direct, trusted, received({ xForwardedHost: 'a.example:1', xForwardedPort: '443' }));
    assert.equal(port.port, 443);
  });

  it('ignores a scheme, host or port that is none', () => {
    for (const fields of [
      { xForwardedProto: 'gopher' },
      { xForwardedProto: 'https,' },
      { xForwardedHost: 'a b' },
      { xForwardedHost: 'user@host' },
      { xForwardedHost: 'a/b' },
      { xForwardedHost: 'a.example:0' },
      { xForwardedHost: 'a.example:65536' },
      { xForwardedHost: `${'a'.repeat(400)}.example` },
      { xForwardedPort: '0' },
      { xForwardedPort: '65536' },
      { xForwardedPort: '8a' },
    ]) {
      assert.deepEqual(resolveClient(direct, trusted, received(fields)), direct);
    }
  });

  it('reads Forwarded element by element: the one in which the walk ends says how the client called', () => {
    const view = resolveClient(
      direct,
      trusted,
      received({
        forwarded:
          'for=6.6.6.6;proto=http, For="[2001:DB8::9]:4711";Proto=https;host="shop.example.com:8443", for=10.0.0.7;proto=http;by=_x',
      }),
    );
    assert.deepEqual(view, { ip: '2001:db8::9', scheme: 'https', host: 'shop.example.com', port: 8443 });
  });

  it('ends the walk of Forwarded at nodes that identify nobody, and believes what the trusted hop says besides', () => {
    for (const node of ['unknown', '_hidden', '"_hidden:80"', '"[2001:db8::1"', '2001']) {
      const view = resolveClient(direct, trusted, received({ forwarded: `for=1.1.1.1, for=${node};proto=https` }));
      assert.deepEqual([view.ip, view.scheme], ['10.0.0.1', 'https'], node);
    }
  });

  it('ends the walk of Forwarded at an element that is malformed, and believes nothing of it', () => {
    for (const element of [
      'for=1.1.1.1:80;proto=https',
      'for = 1.1.1.1;proto=https',
      'proto=https;for="1.1.1.1',
      'for=1.1.1.1;for=2.2.2.2;proto=https',
      'proto=https;x',
    ]) {
      assert.deepEqual(resolveClient(direct, trusted, received({ forwarded: element })), direct, element);
    }
  });

  it('does not let a client override X-Forwarded-For with a Forwarded that the proxy passed on', () => {
    const fields = received({ xForwardedFor: '203.0.113.9', forwarded: 'for=10.0.0.99;proto=https' });
    const view = resolveClient(direct, trusted, fields);
    assert.deepEqual([view.ip, view.scheme], ['203.0.113.9', 'http']);
  });

  it('sees through the peer of a Unix socket when it is trusted', () => {
    const local = { ...direct, ip: '' };
    const fields = received({ xForwardedFor: '203.0.113.9' });
    assert.equal(resolveClient(local, IpSet.parse(['unix:']), fields).ip, '203.0.113.9');
    assert.equal(resolveClient(local, trusted, fields), local);
  });
});

describe('parseForwardedElement', () => {
  const vectors = JSON.parse(readFileSync(new URL('../corpora/rfc-field-vectors.json', import.meta.url), 'utf8'))[
    'Forwarded (RFC 7239, NOT a structured field)'
  ] as { valid: string[]; invalid: string[] };
  const walk = (field: string): ClientView =>
    resolveClient(direct, IpSet.parse(['0.0.0.0/0']), received({ forwarded: field.replace('Forwarded: ', '') }));

  for (const field of vectors.valid) {
    it(`accepts ${field}`, () => {
      for (const element of field.replace('Forwarded: ', '').split(', ')) {
        assert.notEqual(parseForwardedElement(element), null);
      }
    });
  }
  for (const field of vectors.invalid) {
    it(`learns no client from ${field}`, () => assert.equal(walk(field).ip, direct.ip));
  }

  it('undoes the quoting of values and leaves out what is absent', () => {
    assert.deepEqual(parseForwardedElement('FOR="a\\"b\\\\";secret=x;host=h'), { for: 'a"b\\', host: 'h', proto: '' });
    assert.deepEqual(parseForwardedElement(';;for=x;'), { for: 'x', host: '', proto: '' });
  });

  it('refuses what the grammar does not have', () => {
    for (const element of [
      'for',
      'for=',
      '=x',
      'for=a b',
      'for=a ;host=b',
      'for=a; host=b',
      'for="a"b',
      'for="a\\"',
      'a,b=c',
      'for="',
    ]) {
      assert.equal(parseForwardedElement(element), null, element);
    }
  });
});

describe('what the upstream is told', () => {
  const stranger: ClientView = { ip: '203.0.113.9', scheme: 'https', host: 'api.example.com', port: 0 };

  it('replaces what a peer that is not trusted has sent', () => {
    const lies = received({ xForwardedFor: '127.0.0.1', forwarded: 'for=127.0.0.1' });
    const client = resolveClient(stranger, trusted, lies);
    assert.equal(forwardedFor(stranger, client, lies), '203.0.113.9');
    assert.equal(forwarded(stranger, client, lies), 'for=203.0.113.9;host=api.example.com;proto=https;by=_gatewright');
  });

  it('adds a trusted peer to what it has sent', () => {
    const fields = received({ xForwardedFor: '203.0.113.9', xForwardedProto: 'https' });
    const client = resolveClient(direct, trusted, fields);
    assert.equal(forwardedFor(direct, client, fields), '203.0.113.9, 10.0.0.1');
    const believed = received({ forwarded: 'for=203.0.113.9;proto=https' });
    assert.equal(
      forwarded(direct, resolveClient(direct, trusted, believed), believed),
      'for=203.0.113.9;proto=https, for=10.0.0.1;host="api.example.com:8080";proto=http;by=_gatewright',
    );
  });

  it('tells the same story in both notations, whichever came in', () => {
    const modern = received({ forwarded: 'for="[2001:db8::9]";proto=https' });
    const modernClient = resolveClient(direct, trusted, modern);
    assert.equal(forwardedFor(direct, modernClient, modern), '2001:db8::9, 10.0.0.1');

    const both = received({ xForwardedFor: '203.0.113.9', xForwardedProto: 'https', forwarded: 'for=6.6.6.6' });
    const client = resolveClient(direct, trusted, both);
    assert.equal(
      forwarded(direct, client, both),
      'for=203.0.113.9;host="api.example.com:8080";proto=https, for=10.0.0.1;host="api.example.com:8080";proto=http;by=_gatewright',
    );
    const terminated = received({ xForwardedProto: 'https', xForwardedHost: 'shop.example.com' });
    const behindTerminator = resolveClient(direct, trusted, terminated);
    assert.equal(
      forwarded(direct, behindTerminator, terminated),
      'for=10.0.0.1;host=shop.example.com;proto=https;by=_gatewright',
    );
    assert.equal(forwardedFor(direct, behindTerminator, terminated), '10.0.0.1');
  });

  it('has no address to report for the peer of a Unix socket', () => {
    const local = { ...direct, ip: '' };
    assert.equal(forwardedFor(local, local, received({})), '');
    assert.equal(forwardedElement(local, ''), 'for=unknown;host="api.example.com:8080";proto=http');
    const fields = received({ xForwardedFor: '203.0.113.9' });
    assert.equal(forwardedFor(local, resolveClient(local, IpSet.parse(['unix:']), fields), fields), '203.0.113.9');
  });

  it('writes elements that are valid field values and read back as what was meant', () => {
    const host = fc.constantFrom('api.example.com', 'x_y', '2001:db8::1', '10.0.0.1', '');
    const view: fc.Arbitrary<ClientView> = fc.record(
      {
        ip: fc.constantFrom('203.0.113.9', '2001:db8::9'),
        scheme: fc.constantFrom('http' as const, 'https' as const),
        host,
        port: fc.oneof(fc.constant(0), fc.integer({ min: 1, max: 65_535 })),
      },
      { noNullPrototype: true },
    );
    fc.assert(
      fc.property(view, (client) => {
        const element = forwardedElement(client, '_gatewright');
        assert.ok(isFieldValue(element));
        const somebody: ClientView = { ip: '10.0.0.1', scheme: 'http', host: '', port: 0 };
        const readBack = resolveClient(somebody, trusted, received({ forwarded: element }));
        assert.deepEqual(readBack, client.host === '' ? { ...client, port: 0 } : client);
      }),
    );
  });

  it('quotes odd hosts and refuses those that would end the field', () => {
    const odd = { ...stranger, host: 'a"b\\c', port: 0 };
    assert.equal(forwardedElement(odd, ''), 'for=203.0.113.9;host="a\\"b\\\\c";proto=https');
    for (const host of ['a\r\nx: y', 'a\0', 'ā']) {
      assert.throws(() => forwardedElement({ ...stranger, host }, ''), TypeError);
    }
  });

  it('names the port of the scheme when the client named none', () => {
    assert.equal(forwardedPort(stranger), '443');
    assert.equal(forwardedPort({ ...stranger, scheme: 'http' }), '80');
    assert.equal(forwardedPort({ ...stranger, port: 8443 }), '8443');
  });
});

describe('Via', () => {
  it('is appended to what came in, with the protocol by which the message was received', () => {
    assert.equal(appendVia('', 'HTTP/1.1'), '1.1 gatewright');
    assert.equal(appendVia('1.0 fred (a, b)', 'HTTP/1.0'), '1.0 fred (a, b), 1.0 gatewright');
    assert.equal(appendVia('1.1 gatewright', 'HTTP/2'), '1.1 gatewright, 2 gatewright');
  });

  it('shows that a message goes in circles: it has been here more than eight times', () => {
    let via = '1.1 edge';
    for (let i = 0; i < 8; i++) via = appendVia(via, 'HTTP/1.1');
    assert.equal(goesInCircles(via), false);
    assert.equal(goesInCircles(appendVia(via, 'HTTP/2')), true);
    assert.equal(goesInCircles(''), false);
    assert.equal(goesInCircles('1.1 varnish'), false);
  });

  it('counts passages under our own name only, and an open comment hides none', () => {
    const nineTimes = (member: string): string => Array.from({ length: 9 }, () => member).join(', ');
    assert.equal(goesInCircles(nineTimes('1.1 gatewright-2')), false);
    assert.equal(goesInCircles(nineTimes('1.1 edge (gatewright)')), false);
    assert.equal(goesInCircles(nineTimes('1.1\tgatewright (edge)')), true);
    assert.equal(goesInCircles(`1.1 x (, ${nineTimes('1.1 gatewright')}`), true);
    assert.equal(goesInCircles(`1.1 x (\\, ${nineTimes('1.1 gatewright')}`), true);
  });
});
