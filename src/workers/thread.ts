/** The entry of a serving thread. Whatever it runs comes compiled from the cache of an earlier start, if there was one. */
import { enableCompileCache } from 'node:module';
import { leaveOutLocales } from '../util/leave-out-locales.ts';

enableCompileCache();
leaveOutLocales();
await import('./serve.ts');
