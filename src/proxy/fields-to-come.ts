/** What policies want in the head of a response that is still to come, whoever makes it. */
import { equalsIgnoringCase } from '../http/grammar.ts';
import type { HeaderFields } from '../http/header-fields.ts';

export class FieldsToCome {
  /** Names and values in turn. */
  private readonly fields: string[] = [];
  /** Of these, the names that are to stand alone; null for none. */
  private alone: string[] | null = null;

  /** Adds members to a list. */
  add(name: string, value: string): void {
    const { fields } = this;
    for (let i = 0; i < fields.length; i += 2) {
      if (fields[i] !== name) continue;
      fields[i + 1] += `, ${value}`;
      return;
    }
    fields.push(name, value);
  }

  set(name: string, value: string): void {
    const { fields } = this;
    for (let i = fields.length - 2; i >= 0; i -= 2) if (equalsIgnoringCase(fields[i], name)) fields.splice(i, 2);
    fields.push(name, value);
    (this.alone ??= []).push(name);
  }

  addTo(headers: HeaderFields): void {
    const { fields, alone } = this;
    if (alone !== null) for (const name of alone) headers.remove(name);
    for (let i = 0; i < fields.length; i += 2) headers.add(fields[i], fields[i + 1]);
  }
}
