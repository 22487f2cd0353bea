/**
 * The library for signed tokens (RFC 7515 to 7519), imported here and nowhere else. Load this with `await import(…)`: who
 * has no tokens to verify or to make should not wait for it.
 */
export { compactVerify } from 'jose';
