/** How a client shows an authorisation server who it is (RFC 6749, section 2.3.1): `client_secret_basic`. */

/**
 * The value of `Authorization`. Identifier and secret are each written in the form encoding before they are joined (RFC
 * 6749, appendix B), so that a colon or a letter beyond ASCII in one of them means the same on the other side.
 */
export function clientBasic(clientId: string, clientSecret: string): string {
  return `Basic ${Buffer.from(`${formEncode(clientId)}:${formEncode(clientSecret)}`).toString('base64')}`;
}

function formEncode(text: string): string {
  return new URLSearchParams([['', text]]).toString().slice(1);
}
