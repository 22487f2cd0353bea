#!/usr/bin/env node
/** The command line. Code comes compiled from the cache of an earlier start, if there was one. */
import { enableCompileCache } from 'node:module';

enableCompileCache();
const { runCommand } = await import('./commands.ts');
await runCommand();
