/** `gatewright run` while its configuration changes: what it takes, what it refuses, and what it says. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { existsSync, mkdirSync, readFileSync, renameSync, rmSync, statSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type TestContext, describe, it } from 'node:test';
import { connect as connectTls } from 'node:tls';
import { eventually } from '../support/changes.ts';
import { makeCertificate } from '../support/certificates.ts';
import { Command, folderWith, withPorts } from '../support/command.ts';
import { freePort, takenPort } from '../support/free-port.ts';
import { ask, toldPolicy } from '../support/threaded.ts';

const changed = 'the configuration was changed';
const refused = 'the configuration was refused; what served before serves on';

const replying = (body: string, more: object = {}): object =>
  withPorts({ telemetry: { accessLog: false }, threads: 2, routes: { all: { respond: { body } } }, ...more });

const textOf = (config: object): string => JSON.stringify(config);

async function bodyOf(gateway: Command, listener?: string): Promise<string> {
  const { status, text } = await ask(gateway.address(listener));
  assert.equal(status, 200, text);
  return text.slice(text.indexOf('\r\n\r\n') + 4);
}

/** Makes a change and waits until the log has the message that follows it. */
async function after(gateway: Command, message: string, change: () => void): ReturnType<Command['logged']> {
  const from = gateway.log.length;
  change();
  return gateway.logged(message, from);
}

describe('a configuration file that changes', () => {
  it('is followed when it is edited in place, saved by renaming, and deleted and restored', async (t) => {
    const cwd = await folderWith(t);
    const gateway = await Command.serve(t, replying('first'), { cwd });
    const file = join(cwd, 'gateway.json');

    const inPlace = await after(gateway, changed, () => writeFileSync(file, textOf(replying('edited'))));
    assert.deepEqual([inPlace['revision'], inPlace['cause']], [2, 'file']);
    assert.equal(await bodyOf(gateway), 'edited');

    await after(gateway, changed, () => {
      writeFileSync(`${file}.swp`, textOf(replying('renamed')));
      renameSync(`${file}.swp`, file);
    });
    assert.equal(await bodyOf(gateway), 'renamed');

    await after(gateway, refused, () => rmSync(file));
    assert.equal(await bodyOf(gateway), 'renamed');
    await after(gateway, changed, () => writeFileSync(file, textOf(replying('restored'))));
    assert.equal(await bodyOf(gateway), 'restored');
    gateway.kill('SIGTERM');
    await gateway.untilExit();
    assert.equal(gateway.exitCode, 0);
  });

  it('is followed as Kubernetes mounts a ConfigMap, and with it the secrets that it names', async (t) => {
    const cwd = await folderWith(t);
    const mount = (version: string, body: string, secret: string): void => {
      mkdirSync(join(cwd, version));
      writeFileSync(join(cwd, version, 'gateway.json'), textOf(replying(body)));
      writeFileSync(join(cwd, version, 'token'), secret);
      symlinkSync(version, join(cwd, '..data.tmp'));
      renameSync(join(cwd, '..data.tmp'), join(cwd, '..data'));
    };
    mount('..v1', 'v1', 'one');
    for (const name of ['gateway.json', 'token']) symlinkSync(`..data/${name}`, join(cwd, name));
    const gateway = new Command(t, ['run', 'gateway.json'], { cwd });
    await gateway.logged('ready');
    await after(gateway, changed, () => mount('..v2', 'the token is ${file:./token}', 'two-is-long-enough'));
    assert.equal(await bodyOf(gateway), 'the token is two-is-long-enough');
    // The text of the configuration stays as it is.
    await after(gateway, changed, () => mount('..v3', 'the token is ${file:./token}', 'three-is-long-enough'));
    assert.equal(await bodyOf(gateway), 'the token is three-is-long-enough');
    assert.doesNotMatch(gateway.stderr, /long-enough/);
  });

  it('is read again at SIGHUP, however often that comes', async (t) => {
    const cwd = await folderWith(t);
    const gateway = await Command.serve(t, replying('first'), { cwd });
    await after(gateway, changed, () => {
      writeFileSync(join(cwd, 'gateway.json'), textOf(replying('second')));
      for (let count = 0; count < 5; count++) gateway.kill('SIGHUP');
    });
    assert.equal(await bodyOf(gateway), 'second');
    assert.equal(gateway.log.filter(({ msg }) => msg === changed).length, 1);
  });

  it('changes how many threads there are, and what listens where', async (t) => {
    const cwd = await folderWith(t);
    const gateway = await Command.serve(t, replying('two'), { cwd });
    const { port } = gateway.address() as { port: number };
    const adminPort = Number(new URL(gateway.admin).port);
    const status = async (url: string): Promise<number> => {
      try {
        return (await fetch(`${url}/readyz`, { headers: { connection: 'close' } })).status;
      } catch {
        return 0;
      }
    };
    const free = await freePort();
    await after(gateway, changed, () =>
      writeFileSync(
        join(cwd, 'gateway.json'),
        textOf(
          replying('three', { threads: 3, admin: { port: free }, listeners: { web: { host: '127.0.0.1', port } } }),
        ),
      ),
    );
    assert.equal(await bodyOf(gateway), 'three');
    assert.deepEqual(await Promise.all([status(gateway.admin), status(`http://127.0.0.1:${free}`)]), [0, 200]);
    assert.notEqual(free, adminPort);

    // The same port at an address that includes the other; that needs a token.
    const everywhere = { host: '0.0.0.0', port: free, token: 'a-token-that-is-long-enough' };
    await after(gateway, changed, () =>
      writeFileSync(join(cwd, 'gateway.json'), textOf(replying('one', { threads: 1, admin: everywhere }))),
    );
    assert.equal(await status(`http://127.0.0.1:${free}`), 200);
  });
});

describe('a configuration that is refused', () => {
  it('is named loudly with its problems, changes nothing, and hides what is secret', async (t) => {
    const { cert, key } = makeCertificate();
    const cwd = await folderWith(t, {
      'good.pem': cert,
      'good.key': key,
      'other.key': makeCertificate().key,
      'damaged.pem': 'damaged',
      'throws.ts': 'throw new Error("it throws");\n',
      'wrong.ts': 'export default {{\n',
      'made.ts': toldPolicy('1', { inCreate: "throw new Error('no key');" }),
    });
    const port = await takenPort(t);
    const secure = (certificate: object): object => ({
      listeners: { web: { host: '127.0.0.1', port: 0, tls: { certificates: [certificate] } } },
    });
    const using = (file: string): object => ({ routes: { all: { policies: [{ use: file }], respond: {} } } });
    const cases: Readonly<Record<string, readonly [text: string, code: string, problem: RegExp]>> = {
      'broken JSON': ['{"routes": ', 'SYNTAX', /./],
      'duplicate keys': ['{"threads": 1, "threads": 2}', 'DUPLICATE_KEY', /threads/],
      'wrong types': [textOf(replying('x', { threads: 'many' })), '', /threads/],
      'unknown keys': [textOf(replying('x', { listener: {} })), 'UNKNOWN_KEY', /listener/],
      'unknown names': [textOf(replying('x', { routes: { r: { upstream: 'nobody' } } })), 'UNKNOWN_UPSTREAM', /nobody/],
      'a missing file': [textOf(replying('${file:./missing}')), 'INTERPOLATION', /missing/],
      'a secret in the wrong place': [
        textOf(replying('x', { threads: '${env:SOME_TOKEN}' })),
        '',
        /^(?!.*hush-this-is-secret)/s,
      ],
      'an unreadable certificate': [
        textOf(replying('x', secure({ cert: 'damaged.pem', key: 'good.key' }))),
        'BAD_CERTIFICATE',
        /damaged\.pem/,
      ],
      'a key of another certificate': [
        textOf(replying('x', secure({ cert: 'good.pem', key: 'other.key' }))),
        'BAD_CERTIFICATE',
        /other\.key|good\.pem/,
      ],
      'a port in use': [
        textOf(replying('x', { listeners: { web: { host: '127.0.0.1', port: 0 }, t: { host: '127.0.0.1', port } } })),
        'CANNOT_LISTEN',
        /listener t cannot listen .* in use/,
      ],
      'an admin port in use': [textOf(replying('x', { admin: { port } })), 'CANNOT_LISTEN', /admin port/],
      'a policy file that throws': [textOf(replying('x', using('./throws.ts'))), '', /it throws/],
      'a policy file that does not compile': [textOf(replying('x', using('./wrong.ts'))), '', /wrong\.ts/],
      'a file of users that is not there': [
        textOf(replying('x', { routes: { all: { policies: [{ basicAuth: { htpasswd: './none' } }], respond: {} } } })),
        'CANNOT_SERVE',
        /route all: policy basicAuth: .*no such file/,
      ],
      'a policy that cannot be made': [textOf(replying('x', using('./made.ts'))), 'CANNOT_SERVE', /no key/],
    };
    const env = { SOME_TOKEN: 'hush-this-is-secret' };
    const gateway = await Command.serve(t, replying('the last good one'), { cwd, env });
    for (const [what, [text, code, problem]] of Object.entries(cases)) {
      const from = gateway.log.length;
      const { level, revision } = await after(gateway, refused, () => {
        writeFileSync(join(cwd, 'gateway.json'), text);
        gateway.kill('SIGHUP');
      });
      assert.deepEqual([level, revision], ['error', 1], what);
      const problems = () => gateway.log.slice(from).filter(({ msg }) => msg === 'the configuration has a problem');
      const find = () =>
        problems().find((one) => (code === '' || one['code'] === code) && problem.test(String(one['problem'])));
      await eventually(() => find() !== undefined, `${what}: ${code}, but ${JSON.stringify(problems())}`);
      const found = find()!;
      assert.match(String(found['problem']), problem, what);
      assert.match(String(found['place']), /gateway\.json:\d+:\d+/, what);
      assert.equal(await bodyOf(gateway), 'the last good one', what);
    }
    // What would be refused is not called good where it is only tried.
    for (const what of ['a file of users that is not there', 'a policy that cannot be made']) {
      const answer = await fetch(`${gateway.admin}/api/v1/config?dryRun=1`, {
        method: 'PUT',
        headers: { 'content-type': 'application/json' },
        body: cases[what][0],
      });
      assert.equal(answer.status, 422, what);
      const { problems } = (await answer.json()) as { problems: { code: string; line: number; path: unknown }[] };
      assert.deepEqual(
        problems.map(({ code, path }) => [code, path]),
        [['CANNOT_SERVE', ['routes', 'all', 'policies', 0]]],
      );
    }
    assert.doesNotMatch(gateway.stderr, /hush-this-is-secret/);
    assert.equal((await fetch(`${gateway.admin}/readyz`)).status, 200);
    await after(gateway, changed, () => {
      writeFileSync(join(cwd, 'gateway.json'), textOf(replying('corrected')));
      gateway.kill('SIGHUP');
    });
    assert.equal(await bodyOf(gateway), 'corrected');
  });

  it('in YAML as well, and is taken once a file is corrected that only it names', async (t) => {
    const cwd = await folderWith(t, {
      'gateway.yaml':
        'admin: {port: 0}\nlisteners: {web: {host: 127.0.0.1, port: 0}}\nroutes: {r: {respond: {body: a}}}\n',
    });
    const gateway = new Command(t, ['run'], { cwd });
    await gateway.logged('ready');
    const file = join(cwd, 'gateway.yaml');
    const good = readFileSync(file, 'utf8');
    // The empty one is what an editor leaves for a moment that empties a file before it writes to it.
    for (const broken of ['routes: [', '', `${good}routes: {}\n`, `${good}telemetry: *nobody\n`]) {
      await after(gateway, refused, () => {
        writeFileSync(file, broken);
        gateway.kill('SIGHUP');
      });
      assert.equal(await bodyOf(gateway), 'a');
    }
    await after(gateway, refused, () => {
      writeFileSync(file, good.replace('body: a', 'body: "${file:./body.txt}"'));
      gateway.kill('SIGHUP');
    });
    await after(gateway, changed, () => writeFileSync(join(cwd, 'body.txt'), 'b'));
    assert.equal(await bodyOf(gateway), 'b');
  });
});

describe('a file that the configuration names', () => {
  it('is served anew when it is a certificate', async (t) => {
    const before = makeCertificate({ commonName: 'before', altNames: ['DNS:localhost'] });
    const renewed = makeCertificate({ commonName: 'renewed', altNames: ['DNS:localhost'] });
    const cwd = await folderWith(t, { 'site.pem': before.cert, 'site.key': before.key });
    const tls = { certificates: [{ cert: 'site.pem', key: 'site.key' }] };
    const config = replying('x', { listeners: { web: { host: '127.0.0.1', port: 0, tls } } });
    const gateway = await Command.serve(t, config, { cwd });
    const shown = async (): Promise<unknown> => {
      const { host, port } = gateway.address() as { host: string; port: number };
      const socket = connectTls({ host, port, rejectUnauthorized: false });
      await once(socket, 'secureConnect');
      const { subject } = socket.getPeerCertificate();
      socket.destroy();
      return subject.CN;
    };
    assert.equal(await shown(), 'before');
    await after(gateway, refused, () => writeFileSync(join(cwd, 'site.pem'), renewed.cert));
    assert.equal(await shown(), 'before', 'the key does not belong to it yet');
    await after(gateway, changed, () => writeFileSync(join(cwd, 'site.key'), renewed.key));
    await eventually(async () => (await shown()) === 'renewed', 'the new certificate');
  });

  it('is run anew when it is a policy, or what a policy imports', async (t) => {
    const policy = toldPolicy('1').replace('export default', "import { version } from './version.ts';\nexport default");
    const cwd = await folderWith(t, {
      'told.ts': policy.replace('"1"', 'version'),
      'version.ts': "export const version = 'one';\n",
    });
    const config = replying('x', { routes: { all: { policies: [{ use: './told.ts' }], respond: {} } } });
    const gateway = await Command.serve(t, config, { cwd });
    const version = async (): Promise<string> => (await ask(gateway.address())).version;
    assert.equal(await version(), 'one');
    await after(gateway, changed, () => writeFileSync(join(cwd, 'version.ts'), "export const version = 'two';\n"));
    assert.equal(await version(), 'two');
    await after(gateway, refused, () => writeFileSync(join(cwd, 'told.ts'), 'export default 1;\n'));
    assert.equal(await version(), 'two');
    await after(gateway, changed, () => writeFileSync(join(cwd, 'told.ts'), toldPolicy('three')));
    assert.equal(await version(), 'three');
    assert.ok(!gateway.log.some(({ msg }) => msg.includes('died')));
  });
});

describe('gatewright run --last-good', () => {
  const args = ['--last-good', 'kept/last-good'];

  async function start(t: TestContext, cwd: string, config: object): Promise<Command> {
    return Command.serve(t, config, { cwd, args });
  }

  it('keeps what served, for nobody else to read, and serves it when the file is broken', async (t) => {
    const cwd = await folderWith(t);
    mkdirSync(join(cwd, 'kept'));
    const kept = join(cwd, 'kept', 'last-good');
    const file = join(cwd, 'gateway.json');
    const first = await start(t, cwd, replying('first'));
    assert.equal(statSync(kept).mode & 0o777, 0o600);
    await after(first, changed, () => writeFileSync(file, textOf(replying('second'))));
    await after(first, refused, () => writeFileSync(file, '{'));
    first.kill('SIGTERM');
    await first.untilExit();

    const second = new Command(t, ['run', 'gateway.json', ...args], { cwd });
    const { level } = await second.logged('the configuration file is broken: the last good one is served');
    assert.equal(level, 'error');
    assert.match(second.stderr, /^gateway\.json:1:\d+ {2}error/);
    assert.equal(await bodyOf(second), 'second');
    await after(second, changed, () => writeFileSync(file, textOf(replying('third'))));
    assert.equal(await bodyOf(second), 'third');
    assert.match(readFileSync(kept, 'utf8'), /third/);
    assert.ok(!existsSync(`${kept}.${second.pid}`));
  });

  it('does not start with what is none', async (t) => {
    const cwd = await folderWith(t, { 'gateway.json': '{' });
    mkdirSync(join(cwd, 'kept'));
    for (const garbage of ['garbage', 'null', '{"text": 5, "format": "yaml"}', '{"text": "{", "format": "json"}']) {
      writeFileSync(join(cwd, 'kept', 'last-good'), garbage);
      const { exitCode, stderr } = await Command.run(t, ['run', 'gateway.json', ...args], { cwd });
      assert.equal(exitCode, 1, garbage);
      assert.match(stderr, /gateway\.json cannot be served; nothing was started\n$/, garbage);
    }
    rmSync(join(cwd, 'kept', 'last-good'));
    assert.equal((await Command.run(t, ['run', 'gateway.json', ...args], { cwd })).exitCode, 1);
  });

  it('refuses a configuration that is code, which it could not keep', async (t) => {
    const cwd = await folderWith(t, { 'gateway.config.ts': 'export default {};\n' });
    const { exitCode, stderr } = await Command.run(t, ['run', 'gateway.config.ts', ...args], { cwd });
    assert.equal(exitCode, 2);
    assert.match(stderr, /^--last-good keeps YAML and JSON, and gateway\.config\.ts is code: leave the option out\n$/);
  });

  it('serves although it cannot keep anything, and says so', async (t) => {
    const cwd = await folderWith(t);
    const gateway = await start(t, cwd, replying('x'));
    assert.match(gateway.stderr, /the last good configuration cannot be kept in .*kept\/last-good/);
    assert.equal(await bodyOf(gateway), 'x');
  });
});
