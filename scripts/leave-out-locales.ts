/** To be loaded before a test: what it loads is then what the command loads as well. */
import { leaveOutLocales } from '../src/util/leave-out-locales.ts';

leaveOutLocales();
