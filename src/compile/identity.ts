/** Who the gateway is, for those behind it. */
import type { IdentityConfig } from '../config/schema.ts';
import type { Claims, GatewayIdentity } from '../contract.ts';
import { type IdentityKey, identityKey } from '../util/identity-key.ts';
import { CompileError } from './compile-error.ts';

/** @throws {CompileError} for a key that cannot be used. */
export function createIdentity({ issuer, keys }: IdentityConfig): GatewayIdentity {
  const made = keys.map(keyOf);
  const [first] = made;
  return {
    issuer,
    jwks: JSON.stringify({ keys: made.map(({ jwk }) => jwk) }),
    sign: (claims: Claims) => first.token(JSON.stringify({ ...claims, iss: issuer })),
  };
}

function keyOf(pem: string, index: number): IdentityKey {
  try {
    return identityKey(pem);
  } catch (error) {
    throw new CompileError(`identity.keys[${index}]: ${(error as Error).message}`);
  }
}
