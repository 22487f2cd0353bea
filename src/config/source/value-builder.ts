/** Builds the value of a configuration from what a parser reads, and interpolates its strings. */
import type { Path } from '../problem.ts';
import type { Scalar, SourceHandler } from './handler.ts';
import type { Interpolations } from './interpolation.ts';

type Mapping = Record<string, unknown>;

/** Something wrong at an offset of the text. */
export interface OffsetFinding {
  readonly code: 'DUPLICATE_KEY' | 'INTERPOLATION' | 'BAD_NAME';
  readonly offset: number;
  readonly message: string;
  readonly path: Path;
}

export class ValueBuilder implements SourceHandler {
  value: unknown = null;
  readonly findings: OffsetFinding[] = [];
  private readonly interpolations: Interpolations;
  /** The open mappings and lists, outermost first. */
  private readonly open: (Mapping | unknown[])[] = [];
  /** For each of them, if it is a mapping, the key whose value comes next; null when that value is to be dropped. */
  private readonly keys: (string | null)[] = [];

  constructor(interpolations: Interpolations) {
    this.interpolations = interpolations;
  }

  mapping(): void {
    this.begin({});
  }

  list(): void {
    this.begin([]);
  }

  key(name: string, offset: number): void {
    const last = this.keys.length - 1;
    this.keys[last] = name;
    if (name === '__proto__') {
      // Assigned, it would change what the mapping inherits instead of adding a key.
      this.findings.push({ code: 'BAD_NAME', offset, message: 'a key cannot be called __proto__', path: this.path() });
      this.keys[last] = null;
    } else if (Object.hasOwn(this.open[last], name)) {
      const message = `${JSON.stringify(name)} is written twice here`;
      this.findings.push({ code: 'DUPLICATE_KEY', offset, message, path: this.path() });
      // The first value is kept, so that other problems do not depend on the second.
      this.keys[last] = null;
    }
  }

  scalar(value: Scalar, offset: number): void {
    this.add(typeof value === 'string' && value.includes('${') ? this.interpolate(value, offset) : value);
  }

  end(): void {
    this.open.pop();
    this.keys.pop();
  }

  private begin(container: Mapping | unknown[]): void {
    this.add(container);
    this.open.push(container);
    this.keys.push(null);
  }

  private add(value: unknown): void {
    const depth = this.open.length - 1;
    if (depth < 0) {
      this.value = value;
      return;
    }
    const container = this.open[depth];
    if (Array.isArray(container)) {
      container.push(value);
    } else {
      const key = this.keys[depth];
      if (key != null) container[key] = value;
    }
  }

  private interpolate(template: string, offset: number): string {
    const path = this.path();
    return this.interpolations.expand(template, path, (message) => {
      this.findings.push({ code: 'INTERPOLATION', offset, message, path });
    });
  }

  /** Where the node that comes next will be. */
  private path(): Path {
    const innermost = this.open.length - 1;
    return this.open.map((container, depth) => {
      if (!Array.isArray(container)) return this.keys[depth] ?? '';
      // What is open inside of a list is in it already.
      return depth === innermost ? container.length : container.length - 1;
    });
  }
}
