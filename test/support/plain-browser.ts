/** As much of a browser as it takes to log in: it keeps cookies by host, follows redirects, and sends forms. */
import { type IncomingHttpHeaders, request } from 'node:http';

export interface PlainPage {
  readonly url: string;
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  readonly body: string;
}

const maxRedirects = 12;

export class PlainBrowser {
  /** By host and name. */
  readonly cookies = new Map<string, Map<string, string>>();

  /** Navigates there; over http it says nothing of who asks, as browsers do. */
  async open(url: string, form?: URLSearchParams): Promise<PlainPage> {
    let page = await this.ask(url, form);
    for (let i = 0; i < maxRedirects && page.headers.location !== undefined; i++) {
      page = await this.ask(new URL(page.headers.location, page.url).href);
    }
    return page;
  }

  /** Sends the first form of a page, with these values in it. */
  submit(page: PlainPage, values: Readonly<Record<string, string>>): Promise<PlainPage> {
    const action = /<form[^>]* action="([^"]+)"/.exec(page.body)?.[1] ?? '';
    const hidden = page.body.matchAll(/<input type="hidden" name="([^"]+)" value="([^"]*)"/g);
    const form = new URLSearchParams(Array.from(hidden, ([, name, value]) => [name, value]));
    for (const [name, value] of Object.entries(values)) form.set(name, value);
    return this.open(new URL(action, page.url).href, form);
  }

  /** Opens a page and goes through those of the provider, as whoever it is. */
  async logIn(url: string, login: string): Promise<PlainPage> {
    const { origin } = new URL(url);
    let page = await this.open(url);
    // The provider may know already who it is, and that it may tell.
    if (!page.url.startsWith(origin)) page = await this.submit(page, { login, password: 'any' });
    return page.url.startsWith(origin) ? page : this.submit(page, {});
  }

  cookieField(url: string): string {
    const jar = this.cookies.get(new URL(url).hostname) ?? new Map<string, string>();
    return Array.from(jar, ([name, value]) => `${name}=${value}`).join('; ');
  }

  /** One request and its answer. */
  ask(url: string, form?: URLSearchParams, more: Readonly<Record<string, string>> = {}): Promise<PlainPage> {
    const cookie = this.cookieField(url);
    const headers = {
      accept: 'text/html',
      ...(cookie !== '' && { cookie }),
      ...(form !== undefined && { 'content-type': 'application/x-www-form-urlencoded' }),
      ...more,
    };
    return new Promise((resolve, reject) => {
      const sent = request(url, { method: form === undefined ? 'GET' : 'POST', headers, agent: false }, (response) => {
        const chunks: Buffer[] = [];
        response.on('data', (chunk: Buffer) => chunks.push(chunk));
        response.on('error', reject);
        response.on('end', () => {
          this.keep(url, response.headers['set-cookie'] ?? []);
          const { statusCode: status = 0, headers: received } = response;
          resolve({ url, status, headers: received, body: Buffer.concat(chunks).toString('utf8') });
        });
      });
      sent.on('error', reject);
      sent.end(form?.toString());
    });
  }

  private keep(url: string, values: readonly string[]): void {
    const host = new URL(url).hostname;
    const jar = this.cookies.get(host) ?? new Map<string, string>();
    this.cookies.set(host, jar);
    for (const value of values) {
      const [, name, text] = /^([^=]+)=([^;]*)/.exec(value) ?? [];
      if (name === undefined) continue;
      const isOver = /; *max-age=0/i.test(value) || /; *expires=Thu, 01 Jan 1970/i.test(value);
      if (isOver) jar.delete(name);
      else jar.set(name, text);
    }
  }
}
