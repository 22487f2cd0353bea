/** The entry of the thread that runs the code of a configuration to see what it is. */
import { leaveOutLocales } from '../util/leave-out-locales.ts';

leaveOutLocales();
await import('./load-with-code.ts');
