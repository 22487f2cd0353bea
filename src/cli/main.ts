#!/usr/bin/env node
/** The command line. Code comes compiled from the cache of an earlier start, if there was one. */
import { enableCompileCache } from 'node:module';
import { leaveOutLocales } from '../util/leave-out-locales.ts';

enableCompileCache();
leaveOutLocales();
// Whoever reads the output may stop, as `head` does; that is no failure, and changes nothing of what was found.
process.stdout.on('error', (error: NodeJS.ErrnoException) => {
  if (error.code === 'EPIPE') process.exit();
  throw error;
});
const { runCommand } = await import('./commands.ts');
await runCommand();
