/**
 * Checks that links between the Markdown files of the repository lead somewhere: that the file or folder exists, and
 * the heading, where a link names one. Links to other sites are not followed.
 */
import { existsSync, readdirSync, readFileSync, statSync } from 'node:fs';
import { dirname, join, relative, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';

/** What a link to each heading of a document is, as the usual renderers make it: `## The access log` is `the-access-log`. */
export function anchorsOf(markdown: string): Set<string> {
  const headings = withoutCode(markdown).matchAll(/^#{1,6} +(.+?) *$/gm);
  return new Set(Array.from(headings, ([, heading]) => anchorOf(heading)));
}

function anchorOf(heading: string): string {
  const text = heading.toLowerCase().replaceAll(/[^\p{L}\p{N} _-]/gu, '');
  return text.replaceAll(' ', '-');
}

/** Code may look like links and headings, and is neither. */
function withoutCode(markdown: string): string {
  return markdown
    .replaceAll(/^```.*?^```$/gms, '')
    .replaceAll(/`[^`\n]*`/g, (code) => code.replaceAll(/[[\]()#]/g, ' '));
}

/** The targets of the links of a document, without those that begin with a scheme. */
export function linksOf(markdown: string): string[] {
  const links = withoutCode(markdown).matchAll(/\]\(([^()\s]+)\)/g);
  return Array.from(links, ([, target]) => target).filter((target) => !/^[a-z][a-z0-9+.-]*:/i.test(target));
}

/** Why a link in `file` leads nowhere, or null. */
function problemOf(file: string, link: string): string | null {
  const [path, anchor] = link.split('#');
  const target = path === '' ? file : resolve(dirname(file), path);
  if (!existsSync(target)) return `there is no ${link}`;
  if (anchor === undefined) return null;
  if (statSync(target).isDirectory()) return `${link} is a folder and has no headings`;
  return anchorsOf(readFileSync(target, 'utf8')).has(anchor) ? null : `there is no heading for ${link}`;
}

function main(): void {
  const root = fileURLToPath(new URL('..', import.meta.url));
  const skipped = new Set(['node_modules', 'dist', '.git']);
  const documents = readdirSync(root, { recursive: true, encoding: 'utf8' })
    .filter((name) => name.endsWith('.md') && !name.split(/[/\\]/).some((part) => skipped.has(part)))
    .map((name) => join(root, name));
  for (const file of documents) {
    for (const link of linksOf(readFileSync(file, 'utf8'))) {
      const problem = problemOf(file, link);
      if (problem === null) continue;
      console.error(`${relative(root, file)}: ${problem}`);
      process.exitCode = 1;
    }
  }
}

if (import.meta.main) main();
