/** What two readers of the same bytes are compared by. */

/** A request as somebody has read it. */
export interface ReadRequest {
  readonly method: string;
  readonly target: string;
  readonly version: string;
  /** Name in lower case and value, in order; without names that have an underscore. */
  readonly fields: readonly string[];
  /** One character a byte. */
  body: string;
  /** The end of the body was seen. */
  complete: boolean;
}

/** What came of the bytes on one connection. */
export interface RequestReading {
  readonly requests: ReadRequest[];
  /** Why no more was read, when something was malformed; empty otherwise. */
  refusal: string;
  /** The reader said that the connection ends behind the last request that it read. */
  endsThere: boolean;
}

/** A response as somebody has read it. */
export interface ResponseReading {
  /** 0 when there was none. */
  status: number;
  fields: readonly string[];
  body: string;
  complete: boolean;
  /** Statuses of interim responses. */
  readonly interim: number[];
  /** Why there is no complete response; empty otherwise. */
  refusal: string;
}

/** Fields as they are compared. */
export function comparable(fields: Iterable<readonly [string, string]>): string[] {
  return Array.from(fields, ([name, value]) => `${name.toLowerCase()}: ${value}`).filter(
    (field) => !field.split(':', 1)[0].includes('_'),
  );
}

/** Node's flat list of names and values, as pairs. */
export function* pairs(flat: readonly string[]): Iterable<readonly [string, string]> {
  for (let i = 0; i < flat.length; i += 2) yield [flat[i], flat[i + 1]];
}
