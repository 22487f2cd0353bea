/** What a scenario is, what it gets and what it gives back. */
import type { Arm } from '../arms/arm.ts';
import type { Lab } from '../lab.ts';
import type { Sample } from '../measure.ts';
import type { Upstream } from '../upstream.ts';

export interface Metric {
  readonly key: string;
  /** Column heading, with the unit. */
  readonly title: string;
  readonly digits: number;
}

export interface Scenario {
  /** As `--scenario` takes it. */
  readonly name: string;
  readonly title: string;
  /** One or two sentences for the report: what exactly is done. */
  readonly method: string;
  /** The first metric is the one that ratios and bars are about. */
  readonly metrics: readonly Metric[];
  /** Arms that ratios refer to; undefined when a ratio would say nothing. */
  readonly reference: string | undefined;
  /** Arms that take part unless `--arms` says otherwise. */
  readonly arms: readonly string[];
  readonly rounds: number;
  /** Seconds of load per arm and round; 0 when the scenario has its own duration. */
  readonly seconds: number;
  run(bench: Bench, contestants: readonly Arm[]): Promise<Row[]>;
}

/** What the scenarios work with. */
export interface Bench {
  readonly lab: Lab;
  readonly upstream: Upstream;
  readonly rounds: number;
  readonly seconds: number;
  /** Client connections under load, when the command line names a number. */
  readonly connections: number | undefined;
  /** Shows progress to whoever watches. */
  say(line: string): void;
}

/** What one arm did in one scenario. */
export interface Row {
  readonly arm: string;
  readonly title: string;
  /** One per round. */
  readonly samples: Sample[];
  /** Why the arm dropped out; its samples are then not to be trusted. */
  failure: string | undefined;
}

export interface ScenarioResult {
  readonly scenario: Scenario;
  readonly rounds: number;
  readonly seconds: number;
  readonly rows: readonly Row[];
}
