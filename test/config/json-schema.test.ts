import assert from 'node:assert/strict';
import { suite, test } from 'node:test';
import { type JsonSchema, NOT_AVAILABLE, configJsonSchema } from '../../src/config/json-schema.ts';
import { allBuiltin } from './load-text.ts';

const schema = configJsonSchema(allBuiltin);

/** Every schema inside of one, with its place. */
function* parts(part: unknown, path = ''): Generator<readonly [string, JsonSchema]> {
  if (typeof part !== 'object' || part === null) return;
  if (!Array.isArray(part)) yield [path, part as JsonSchema];
  for (const [key, inner] of Object.entries(part)) yield* parts(inner, `${path}/${key}`);
}

const at = (...keys: readonly string[]): JsonSchema =>
  keys.reduce<unknown>((part, key) => (part as Record<string, unknown>)[key], schema) as JsonSchema;

suite('the JSON Schema', () => {
  test('describes every key', () => {
    for (const [path, part] of parts(schema)) {
      for (const [name, property] of Object.entries(path.endsWith('/properties') ? {} : (part.properties ?? {}))) {
        const { description } = property as JsonSchema;
        const isOptions = path.includes('policyUse') && name === 'options';
        assert.ok(
          isOptions || (description !== undefined && description !== NOT_AVAILABLE) || path.includes('policyUse'),
          `${path} ${name}`,
        );
      }
    }
  });

  test('says what is not available yet', () => {
    const upstream = ['properties', 'upstreams', 'additionalProperties', 'properties'];
    assert.match(at(...upstream, 'health').description ?? '', /Not available yet\.$/);
    assert.doesNotMatch(at(...upstream, 'connections').description ?? '', /Not available/);
  });

  test('has nothing in it that is only ours', () => {
    for (const [path, part] of parts(schema)) {
      if (path.endsWith('/properties')) continue;
      for (const key of ['notAvailable', 'secret', '~standard', 'format']) assert.ok(!(key in part), `${path} ${key}`);
    }
  });

  test('accepts interpolated text where a number or a truth value belongs', () => {
    const port = at('properties', 'admin', 'properties', 'port');
    assert.deepEqual(port.anyOf, [
      { type: 'integer', minimum: 0, maximum: 65_535 },
      { type: 'string', pattern: '\\$\\{' },
    ]);
    assert.equal(port.default, 9901);
    assert.match('${env:PORT}', new RegExp('\\$\\{'));
    const pattern =
      at('properties', 'listeners', 'additionalProperties', 'properties', 'timeouts', 'properties', 'head').pattern ??
      '';
    for (const text of ['10s', '${env:HEAD:-10s}']) assert.match(text, new RegExp(pattern));
    assert.doesNotMatch('10', new RegExp(pattern));
  });
});
