/** Debian's chromium, without a window. It finds nobody but this machine. */
import { type Browser, type BrowserContext, type Page, chromium } from 'playwright-core';
import type { Scope } from './scope.ts';

/** Starts one; it is ended at the end of the test. */
export async function startChromium(t: Scope): Promise<Browser> {
  const browser = await chromium.launch({
    executablePath: '/usr/bin/chromium',
    args: [
      '--no-sandbox',
      '--disable-gpu',
      '--ignore-certificate-errors',
      '--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.*, EXCLUDE localhost',
    ],
  });
  t.after(() => browser.close());
  return browser;
}

/** A browser profile of its own, with one page. */
export async function openPage(browser: Browser): Promise<{ readonly context: BrowserContext; readonly page: Page }> {
  const context = await browser.newContext({ ignoreHTTPSErrors: true });
  context.setDefaultTimeout(20_000);
  return { context, page: await context.newPage() };
}

/** Opens an address and waits for the page itself, not for all that it would like to load. */
export async function open(page: Page, url: string): Promise<number> {
  const response = await page.goto(url, { waitUntil: 'domcontentloaded' });
  return response?.status() ?? 0;
}
