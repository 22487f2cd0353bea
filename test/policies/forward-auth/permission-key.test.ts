import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as fc from 'fast-check';
import { permissionKey } from '../../../src/policies/forward-auth/permissions.ts';

test('no two questions share a key (CVE-2023-35941)', () => {
  assert.notEqual(
    permissionKey([['a', 'b1:c']]),
    permissionKey([
      ['a', 'b'],
      ['c', ''],
    ]),
  );
  const field = fc.tuple(fc.constantFrom('a', 'ab', 'a1:'), fc.stringMatching(/^[ab:0-2]{0,6}$/));
  fc.assert(
    fc.property(fc.array(field, { maxLength: 4 }), fc.array(field, { maxLength: 4 }), (a, b) => {
      assert.equal(permissionKey(a) === permissionKey(b), JSON.stringify(a) === JSON.stringify(b));
    }),
    { numRuns: 2000 },
  );
});
