/** Which URLs a provider may have: credentials and tokens travel in clear to nobody but this machine. */

/** Whether it can be the issuer of an OpenID provider (OpenID Connect Discovery, section 3). */
export function isIssuer(text: string): boolean {
  if (!URL.canParse(text)) return false;
  const { protocol, username, password, search, hash } = new URL(text);
  return [username, password, search, hash].every((part) => part === '') && (protocol === 'https:' || isLocal(text));
}

/** Whether it is plain http to this machine. */
export function isLocal(url: string): boolean {
  const { protocol, hostname } = new URL(url);
  return protocol === 'http:' && /^(?:localhost|127(?:\.\d{1,3}){3}|\[::1\])$/.test(hostname);
}
