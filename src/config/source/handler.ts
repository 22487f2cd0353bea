/**
 * How a parser hands over what it reads: one call for each node, in the order of the text, with the offset at which the
 * node begins. Values are built from it, and, when there are problems to report, a second pass builds the positions.
 */
export type Scalar = string | number | boolean | null;

export interface SourceHandler {
  mapping(offset: number): void;
  list(offset: number): void;
  /** The next node is the value of this key of the innermost mapping. */
  key(name: string, offset: number): void;
  scalar(value: Scalar, offset: number): void;
  /** Ends the innermost mapping or list. */
  end(): void;
}

/** The text is malformed at this offset. */
export class SourceError extends Error {
  readonly offset: number;

  constructor(message: string, offset: number) {
    super(message);
    this.offset = offset;
  }
}

/** How deeply a configuration may be nested, aliases included. Nothing that makes sense comes near. */
export const MAX_DEPTH = 64;
