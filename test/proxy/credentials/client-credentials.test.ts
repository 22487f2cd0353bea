/** When there is a token and which one, with documents that a test writes down (RFC 6749, section 4.4). */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { DocumentSource, RemoteDocument } from '../../../src/contract.ts';
import { ClientCredentials, type TokenRequest } from '../../../src/proxy/credentials/client-credentials.ts';

const source = { timeoutMs: 1, maxBytes: 1, refreshMs: 1, cooldownMs: 1, body: 'grant_type=client_credentials' };

class FakeDocument implements RemoteDocument {
  readonly url: string;
  text: string | null = null;
  version = 0;
  confirmedAt = 0;
  problem = '';
  refreshes = 0;
  released = false;
  /** What the next refresh brings. */
  next: string | null = null;
  private readonly world: World;

  constructor({ url }: DocumentSource, world: World) {
    this.url = url;
    this.world = world;
  }

  set(text: string): void {
    if (text !== this.text) this.version++;
    this.text = text;
    this.confirmedAt = this.world.now;
  }

  refresh(): Promise<void> {
    this.refreshes++;
    if (this.next !== null) this.set(this.next);
    this.next = null;
    return Promise.resolve();
  }
}

class World {
  now = 1_700_000_000_000;
  readonly documents: FakeDocument[] = [];
  readonly warnings: string[] = [];
  readonly credential: ClientCredentials;

  constructor(request: Partial<TokenRequest>) {
    this.credential = new ClientCredentials(
      { tokenUrl: null, issuer: null, source, ...request },
      {
        document: (from) => {
          const document = new FakeDocument(from, this);
          this.documents.push(document);
          return { value: document, release: () => void (document.released = true) };
        },
        wallNow: () => this.now,
        warn: (message) => this.warnings.push(message),
      },
    );
  }

  /** The value of Authorization; null for none. */
  async authorization(): Promise<string | null> {
    if (!(await this.credential.ready())) return null;
    const request = { method: 'GET', scheme: 'http', host: 'a', path: '/', query: '', lines: '', body: '' } as const;
    return /^authorization: (.*)\r\n$/.exec(this.credential.complete(request))![1];
  }
}

const tokenUrl = 'https://login.example.com/token';
const answer = (token: unknown, more: object = {}): string =>
  JSON.stringify({ access_token: token, token_type: 'Bearer', expires_in: 100, ...more });

test('the token that is there is sent, and a request waits for the first one', async () => {
  const world = new World({ tokenUrl });
  const [document] = world.documents;
  assert.equal(document.url, tokenUrl);
  assert.equal(await world.authorization(), null);
  assert.equal(document.refreshes, 1);
  document.next = answer('first');
  assert.equal(await world.authorization(), 'Bearer first');
  assert.equal(world.credential.ready(), true);
  document.set(answer('second'));
  assert.equal(await world.authorization(), 'Bearer second');
  assert.equal(document.refreshes, 2);
});

test('one that has expired, or expires on its way, is not sent', async () => {
  const world = new World({ tokenUrl });
  const [document] = world.documents;
  document.set(answer('first'));
  world.now += 94_999;
  assert.equal(await world.authorization(), 'Bearer first');
  world.now += 1;
  assert.equal(await world.authorization(), null);
  document.set(answer('first'));
  assert.equal(await world.authorization(), 'Bearer first', 'confirmed again, it is good for as long again');
});

test('one without a lifetime holds until there is another', async () => {
  const world = new World({ tokenUrl });
  world.documents[0].set(answer('first', { expires_in: undefined }));
  world.now += 1e12;
  assert.equal(await world.authorization(), 'Bearer first');
});

test('an upstream that refuses it makes it ask for another one', async () => {
  const world = new World({ tokenUrl });
  world.documents[0].set(answer('first'));
  world.documents[0].next = answer('second');
  world.credential.refused();
  assert.equal(await world.authorization(), 'Bearer second');
});

test('what is no bearer token is not sent, whatever else it is', async () => {
  const world = new World({ tokenUrl });
  for (const text of [
    '',
    'null',
    '[]',
    'not json',
    '{}',
    answer(''),
    answer(7),
    answer('a b'),
    answer('canary\r\nx-injected: 1'),
    answer('canary', { token_type: 'mac' }),
    answer('canary', { token_type: undefined }),
    answer('canary', { expires_in: 'soon' }),
    answer('canary', { expires_in: -1 }),
    answer('canary', { expires_in: 0 }),
  ]) {
    world.documents[0].set(text);
    assert.equal(await world.authorization(), null, text);
  }
  assert.doesNotMatch(world.warnings.join('\n'), /canary/);
  assert.ok(world.warnings.includes('the token endpoint has given out no bearer token'));
});

const issuer = 'https://login.example.com';
const metadata = (more: object = {}): string => JSON.stringify({ issuer, token_endpoint: `${issuer}/oauth`, ...more });

test('an issuer says where tokens are given out, and may say otherwise later', async () => {
  const world = new World({ issuer });
  const [discovery] = world.documents;
  assert.equal(discovery.url, `${issuer}/.well-known/openid-configuration`);
  assert.equal(await world.authorization(), null);
  discovery.set(metadata());
  assert.equal(await world.authorization(), null);
  assert.equal(world.documents[1].url, `${issuer}/oauth`);
  world.documents[1].set(answer('first'));
  assert.equal(await world.authorization(), 'Bearer first');
  discovery.set(metadata({ token_endpoint: `${issuer}/other` }));
  assert.equal(await world.authorization(), null);
  assert.equal(world.documents[1].released, true);
  world.documents[2].set(answer('second'));
  assert.equal(await world.authorization(), 'Bearer second');
});

test('the secret goes nowhere that the issuer does not name itself, and never out of TLS', async () => {
  for (const text of [
    metadata({ issuer: 'https://evil.example' }),
    metadata({ issuer: undefined }),
    metadata({ token_endpoint: 'http://login.example.com/oauth' }),
    metadata({ token_endpoint: 'file:///etc/passwd' }),
    metadata({ token_endpoint: 7 }),
    'not json',
  ]) {
    const world = new World({ issuer });
    world.documents[0].set(text);
    assert.equal(await world.authorization(), null);
    assert.equal(world.documents.length, 1, text);
  }
});

test('it lets go of what it fetched', async () => {
  const world = new World({ issuer });
  world.documents[0].set(metadata());
  await world.authorization();
  world.credential.close();
  assert.ok(world.documents.every(({ released }) => released));
  assert.equal(await world.authorization(), null);
});
