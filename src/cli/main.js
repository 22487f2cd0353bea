#!/usr/bin/env node
/**
 * The command line. Code comes compiled from the cache of an earlier start, if there was one.
 *
 * This is the one file in JavaScript: what is loaded before there is a cache needs the compiler that takes types away, and
 * to load that takes longer than to start Node.
 */
import { lstatSync, mkdirSync, realpathSync } from 'node:fs';
import { enableCompileCache } from 'node:module';
import { homedir } from 'node:os';
import { dirname, join } from 'node:path';

/**
 * Whether nobody but us and root can put anything into a folder, or another folder in its place. What is in the cache is
 * run, and Node's own choice for it is a folder for temporary files that anybody can make before us (CWE-379).
 *
 * @param {string} folder without symbolic links.
 * @returns {boolean}
 */
function isPrivate(folder) {
  const user = process.getuid?.();
  // Elsewhere a home is closed by other means.
  if (user === undefined) return true;
  for (let path = folder; ; path = dirname(path)) {
    const { uid, mode } = lstatSync(path);
    const isOpen = (mode & 0o022) !== 0;
    // As in /tmp, others can add to it, but not touch what is not theirs.
    const isSticky = path !== folder && (mode & 0o1000) !== 0;
    if ((uid !== user && uid !== 0) || (isOpen && !isSticky)) return false;
    if (dirname(path) === path) return true;
  }
}

function useCache() {
  const { CACHE_DIRECTORY, XDG_CACHE_HOME, NODE_COMPILE_CACHE } = process.env;
  if (NODE_COMPILE_CACHE !== undefined) return;
  try {
    // Of the first, which systemd sets, there may be several.
    const caches = CACHE_DIRECTORY?.split(':')[0] ?? XDG_CACHE_HOME ?? join(homedir(), '.cache');
    const folder = join(caches, 'gatewright');
    mkdirSync(folder, { recursive: true, mode: 0o700 });
    if (!isPrivate(realpathSync(folder))) return;
    enableCompileCache(folder);
    // Threads begin with it.
    process.env['NODE_COMPILE_CACHE'] = folder;
  } catch {
    // It serves all the same, and starts a little later.
  }
}

useCache();
const { leaveOutLocales } = await import('../util/leave-out-locales.ts');
leaveOutLocales();
// Whoever reads the output may stop, as `head` does; that is no failure, and changes nothing of what was found.
process.stdout.on('error', (/** @type {NodeJS.ErrnoException} */ error) => {
  if (error.code === 'EPIPE') process.exit();
  throw error;
});
const { processIo } = await import('./cli-io.ts');
const { runCommand } = await import('./commands.ts');
process.exitCode = await runCommand(process.argv.slice(2), processIo);
