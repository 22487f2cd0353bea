/** The clock that tests turn by hand is the one that users get for theirs. */
export { FakeClock } from '../../src/testing/fake-clock.ts';
