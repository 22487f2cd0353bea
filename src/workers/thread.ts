/** The entry of a serving thread. */
import { leaveOutLocales } from '../util/leave-out-locales.ts';

leaveOutLocales();
await import('./serve.ts');
