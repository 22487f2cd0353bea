/** Compares the files of TLS: by their names, and by what is in them where they can be read. */
import { isMapping } from '../is-mapping.ts';
import type { ChangeKind, Difference } from './change.ts';
import type { Comparison } from './comparison.ts';
import type { FieldRule } from './fields.ts';

interface FileKinds {
  /** When it is named no more. */
  readonly ifRemoved: ChangeKind;
  /** When it is new, or the same file has another name. */
  readonly otherwise: ChangeKind;
}

/** How a file of TLS at one place of a configuration is compared. */
export function compareTlsFile(what: string, { ifRemoved, otherwise }: FileKinds): NonNullable<FieldRule['compare']> {
  return (before, after, comparison) => {
    const field = `tls.${what}`;
    const [from, to] = [comparison.fileName(before, 'before'), comparison.fileName(after, 'after')];
    if (after === undefined) return [{ kind: ifRemoved, detail: `${field} ${from} removed`, field, before: from }];
    if (before === undefined) return [{ kind: otherwise, detail: `${field} now ${to}`, field, after: to }];
    return compareFile({ before, after, field, renamed: otherwise }, comparison);
  };
}

interface FilePair {
  readonly before: unknown;
  readonly after: unknown;
  readonly field: string;
  /** The kind when the contents are the same, but the name is not. */
  readonly renamed: ChangeKind;
}

function compareFile({ before, after, field, renamed }: FilePair, comparison: Comparison): Difference[] {
  const [from, to] = [comparison.fileName(before, 'before'), comparison.fileName(after, 'after')];
  const differ = comparison.differInContent(before, after);
  if (comparison.isSameFile(before, after)) {
    return differ === true ? [{ kind: 'certificate-changed', detail: `what is in ${to}`, field }] : [];
  }
  // PEM text in the place of a file, before and after.
  if (from === to) return [{ kind: 'certificate-changed', detail: `what is in ${field}`, field }];
  const names = `${from} → ${to}`;
  if (differ === false) {
    return [{ kind: renamed, detail: `${field} ${names}, with the same in it`, field, before: from, after: to }];
  }
  return [{ kind: 'certificate-changed', detail: names, field, before: from, after: to }];
}

type Certificate = Readonly<Record<string, unknown>>;

/** The certificates of a listener, by their place: the first is the default. */
export function compareCertificates(before: unknown, after: unknown, comparison: Comparison): readonly Difference[] {
  const [from, to] = [certificatesOf(before), certificatesOf(after)];
  const kept = from.slice(0, to.length).flatMap((certificate, index) => {
    const field = `tls.certificates[${index}]`;
    const compare = (key: 'cert' | 'key'): Difference[] =>
      compareFile(
        { before: certificate[key], after: to[index][key], field: `${field}.${key}`, renamed: 'listener-changed' },
        comparison,
      );
    // Whoever changes a certificate changes its key; that is one change.
    const differences = compare('cert').concat(compare('key'));
    return differences[0]?.kind === 'certificate-changed' ? differences.slice(0, 1) : differences;
  });
  const gone = from.slice(to.length).map((certificate): Difference => {
    const name = comparison.fileName(certificate['cert'], 'before');
    return { kind: 'certificate-changed', detail: `${name} removed`, field: 'tls.certificates', before: name };
  });
  const come = to.slice(from.length).map((certificate): Difference => {
    const name = comparison.fileName(certificate['cert'], 'after');
    return { kind: 'certificate-changed', detail: `${name} added`, field: 'tls.certificates', after: name };
  });
  return [...kept, ...gone, ...come];
}

const certificatesOf = (value: unknown): readonly Certificate[] =>
  Array.isArray(value) ? value.filter(isMapping) : [];
