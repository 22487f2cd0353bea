/** Where the parts of a configuration are in its text. Built only when there is a problem to report. */
import type { Path } from '../problem.ts';
import type { Scalar, SourceHandler } from './handler.ts';

export interface Position {
  /** From 1. */
  readonly line: number;
  /** From 1, in UTF-16 code units. */
  readonly column: number;
}

interface PositionNode {
  /** Where the value begins. */
  readonly offset: number;
  /** Where its key is; -1 in lists and at the root. */
  readonly keyOffset: number;
  readonly isContainer: boolean;
  readonly children: Map<string | number, PositionNode>;
}

const NO_CHILDREN = new Map<string | number, PositionNode>();

/** The tree of positions of one text. */
export class PositionTree implements SourceHandler {
  private root: PositionNode = { offset: 0, keyOffset: -1, isContainer: true, children: NO_CHILDREN };
  private readonly open: PositionNode[] = [];
  private nextKey: string | null = null;
  private nextKeyOffset = -1;

  mapping(offset: number): void {
    this.open.push(this.add({ offset, keyOffset: this.nextKeyOffset, isContainer: true, children: new Map() }));
    this.nextKeyOffset = -1;
  }

  list(offset: number): void {
    this.mapping(offset);
    this.nextKey = null;
  }

  key(name: string, offset: number): void {
    this.nextKey = name;
    this.nextKeyOffset = offset;
  }

  scalar(_value: Scalar, offset: number): void {
    this.add({ offset, keyOffset: this.nextKeyOffset, isContainer: false, children: NO_CHILDREN });
    this.nextKeyOffset = -1;
  }

  end(): void {
    this.open.pop();
    this.nextKey = null;
  }

  private add(node: PositionNode): PositionNode {
    const parent = this.open.at(-1);
    if (parent === undefined) this.root = node;
    // Of two values of one key the first counts, as it does for the value.
    else if (this.nextKey !== null) parent.children.set(this.nextKey, parent.children.get(this.nextKey) ?? node);
    else parent.children.set(parent.children.size, node);
    this.nextKey = null;
    return node;
  }

  /**
   * The offset of what is at a path, or of the nearest thing around it that is there. A mapping or list is pointed to
   * at its key, because its first element is on another line.
   */
  offsetOf(path: Path, atKey: boolean): number {
    let node = this.root;
    for (const [depth, key] of path.entries()) {
      const child = node.children.get(key);
      // One thing may stand for a list of it: its place is that of the first element.
      if (child === undefined && key === 0) continue;
      if (child === undefined) break;
      node = child;
      if (atKey && depth === path.length - 1 && node.keyOffset >= 0) return node.keyOffset;
    }
    return node.isContainer && node.keyOffset >= 0 ? node.keyOffset : node.offset;
  }
}

/** Turns offsets of a text into lines and columns. */
export class LineIndex {
  private readonly starts: readonly number[];

  constructor(text: string) {
    const starts = [0];
    for (let at = text.indexOf('\n'); at !== -1; at = text.indexOf('\n', at + 1)) starts.push(at + 1);
    this.starts = starts;
  }

  positionOf(offset: number): Position {
    let low = 0;
    let high = this.starts.length - 1;
    while (low < high) {
      const middle = (low + high + 1) >>> 1;
      if (this.starts[middle] <= offset) low = middle;
      else high = middle - 1;
    }
    return { line: low + 1, column: offset - this.starts[low] + 1 };
  }
}
